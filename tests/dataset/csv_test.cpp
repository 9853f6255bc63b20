#include "dataset/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace espalier::dataset {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Csv, ReadsQuotesLineEndsAndTheByteOrderMark) {
  const auto table =
      parse_csv("\xEF\xBB\xBFpath,name\r\n\"a,b.glb\",\"say \"\"hi\"\"\"\r\n\nc.glb,\"two\nlines\"\nd.glb,");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->columns, ElementsAre("path", "name"));
  EXPECT_THAT(table->rows, ElementsAre(ElementsAre("a,b.glb", "say \"hi\""), ElementsAre("c.glb", "two\nlines"),
                                       ElementsAre("d.glb", "")));
  EXPECT_THAT(table->lines, ElementsAre(2, 4, 6));
  EXPECT_EQ(table->column("name"), 1u);
  EXPECT_EQ(table->column("none"), std::nullopt);
}

TEST(Csv, GivesBackWhatWasWritten) {
  const CsvTable table{{"a", "b"}, {{"x,y", "\"q\""}, {"", "line\nend"}}, {}};
  const auto read = parse_csv(write_csv(table));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->rows, table.rows);
}

TEST(Csv, RefusesMalformedTablesNamingTheLine) {
  const std::vector<std::pair<std::string, const char*>> rows = {
      {"", "no header"},
      {"a,a\n", "two columns"},
      {"a,b\n1\n", "line 2: 1 fields"},
      {"a\n\"open\n", "never ends"},
      {"a\n\"x\"y\n", "after a closing quote"},
      {"a\nx\"y\n", "a quote inside"},
      {std::string("a\n\0\n", 4), "NUL"},
  };
  for (const auto& [text, message] : rows) {
    const auto table = parse_csv(text);
    ASSERT_FALSE(table.ok()) << text;
    EXPECT_THAT(std::string(table.status().message()), HasSubstr(message));
  }
  EXPECT_FALSE(parse_csv("a\n1\n2\n", {1, 10}).ok());
}

}  // namespace
}  // namespace espalier::dataset
