#include "ovoxel/vxz/codec.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"

namespace espalier::ovoxel::internal {
namespace {

constexpr size_t kFirstBuffer = size_t{64} << 10;

struct CodecRow {
  Codec codec;
  const char* name;
  Levels levels;
};
constexpr CodecRow kCodecs[] = {
    {Codec::kNone, "none", {0, 0, 0}},
    {Codec::kDeflate, "deflate", {1, 9, 9}},
    {Codec::kLzma, "lzma", {1, 9, 9}},
    {Codec::kZstd, "zstd", {1, 22, 22}},
};

const CodecRow& row_of(Codec codec) {
  return *std::find_if(std::begin(kCodecs), std::end(kCodecs), [&](const CodecRow& row) { return row.codec == codec; });
}

Status broken(std::string_view why) { return absl::DataLossError(absl::StrCat("compressed data ", std::string(why))); }

uint8_t* as_bytes(char* data) { return reinterpret_cast<uint8_t*>(data); }
const uint8_t* as_bytes(const char* data) { return reinterpret_cast<const uint8_t*>(data); }

// A decoder between its calls: `left` bytes of input are still unread.
struct Progress {
  size_t produced = 0;
  size_t left = 0;
  bool finished = false;
};

// Calls decode(out, room) until it is finished; the buffer doubles as it fills.
template <class Decode>
Result<std::string> drain(size_t max_bytes, Decode decode) {
  std::string out;
  size_t used = 0;
  while (true) {
    if (used > max_bytes) return broken(absl::StrCat("gives more than the ", max_bytes, " bytes it may"));
    if (used == out.size()) out.resize(std::min(std::max(used * 2, kFirstBuffer), max_bytes + 1));
    ESP_ASSIGN(const Progress step, decode(out.data() + used, out.size() - used));
    used += step.produced;
    if (step.finished) {
      if (step.left > 0) return broken("is followed by other bytes");
      if (used > max_bytes) continue;  // one byte too many
      out.resize(used);
      return out;
    }
    if (used < out.size()) return broken("is cut short");
  }
}

struct InflateEnd {
  void operator()(z_stream* stream) const { inflateEnd(stream); }
};

Result<std::string> inflate_raw(std::string_view bytes, size_t max_bytes) {
  if (bytes.size() > std::numeric_limits<uInt>::max()) return broken("is over 4 GiB");
  z_stream stream{};
  if (inflateInit2(&stream, -15) != Z_OK) return absl::ResourceExhaustedError("zlib: out of memory");
  const std::unique_ptr<z_stream, InflateEnd> end(&stream);
  stream.next_in = const_cast<Bytef*>(as_bytes(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  return drain(max_bytes, [&](char* out, size_t room) -> Result<Progress> {
    const auto space = static_cast<uInt>(std::min<size_t>(room, std::numeric_limits<uInt>::max()));
    stream.next_out = as_bytes(out);
    stream.avail_out = space;
    const int code = inflate(&stream, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return broken("is not a deflate stream");
    return Progress{space - stream.avail_out, stream.avail_in, code == Z_STREAM_END};
  });
}

// The one filter of a raw LZMA2 stream.
class LzmaChain {
 public:
  // An encoder of `bytes` needs no larger dictionary (and its tables, ten times that, are cleared for every stream).
  static Result<LzmaChain> create(int level, size_t bytes = SIZE_MAX) {
    LzmaChain chain;
    if (lzma_lzma_preset(&chain.options_, static_cast<uint32_t>(level))) {
      return absl::InvalidArgumentError(absl::StrCat("lzma has no preset ", level));
    }
    const size_t enough = std::max<size_t>(bytes, LZMA_DICT_SIZE_MIN);
    chain.options_.dict_size = static_cast<uint32_t>(std::min<size_t>(chain.options_.dict_size, enough));
    return chain;
  }
  // Valid while this object lives and does not move.
  const lzma_filter* filters() {
    filters_[0] = {LZMA_FILTER_LZMA2, &options_};
    filters_[1] = {LZMA_VLI_UNKNOWN, nullptr};
    return filters_;
  }

 private:
  lzma_options_lzma options_{};
  lzma_filter filters_[2] = {};
};

struct LzmaEnd {
  void operator()(lzma_stream* stream) const { lzma_end(stream); }
};

Result<std::string> decode_lzma(std::string_view bytes, int level, size_t max_bytes) {
  ESP_ASSIGN(LzmaChain chain, LzmaChain::create(level));
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_raw_decoder(&stream, chain.filters()) != LZMA_OK) {
    return absl::ResourceExhaustedError("liblzma: out of memory");
  }
  const std::unique_ptr<lzma_stream, LzmaEnd> end(&stream);
  stream.next_in = as_bytes(bytes.data());
  stream.avail_in = bytes.size();
  return drain(max_bytes, [&](char* out, size_t room) -> Result<Progress> {
    stream.next_out = as_bytes(out);
    stream.avail_out = room;
    const lzma_ret code = lzma_code(&stream, LZMA_FINISH);
    if (code != LZMA_OK && code != LZMA_STREAM_END && code != LZMA_BUF_ERROR) return broken("is not an LZMA2 stream");
    return Progress{room - stream.avail_out, stream.avail_in, code == LZMA_STREAM_END};
  });
}

Result<std::string> decode_zstd(std::string_view bytes, size_t max_bytes) {
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  if (!context) return absl::ResourceExhaustedError("zstd: out of memory");
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  return drain(max_bytes, [&](char* out, size_t room) -> Result<Progress> {
    ZSTD_outBuffer target{out, room, 0};
    const size_t code = ZSTD_decompressStream(context.get(), &target, &in);
    if (ZSTD_isError(code)) return broken("is not a zstd frame");
    return Progress{target.pos, in.size - in.pos, code == 0};
  });
}

struct DeflateEnd {
  void operator()(z_stream* stream) const { deflateEnd(stream); }
};

Result<std::string> deflate_raw(std::string_view bytes, int level) {
  if (bytes.size() > std::numeric_limits<uInt>::max() / 2) return absl::InvalidArgumentError("over 2 GiB to deflate");
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return absl::ResourceExhaustedError("zlib: out of memory");
  }
  const std::unique_ptr<z_stream, DeflateEnd> end(&stream);
  std::string out(deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
  stream.next_in = const_cast<Bytef*>(as_bytes(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = as_bytes(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) return absl::InternalError("zlib: deflate did not end");
  out.resize(out.size() - stream.avail_out);
  return out;
}

Result<std::string> encode_lzma(std::string_view bytes, int level) {
  ESP_ASSIGN(LzmaChain chain, LzmaChain::create(level, bytes.size()));
  std::string out(lzma_stream_buffer_bound(bytes.size()), '\0');
  size_t used = 0;
  if (lzma_raw_buffer_encode(chain.filters(), nullptr, as_bytes(bytes.data()), bytes.size(), as_bytes(out.data()),
                             &used, out.size()) != LZMA_OK) {
    return absl::ResourceExhaustedError("liblzma: out of memory");
  }
  out.resize(used);
  return out;
}

Result<std::string> encode_zstd(std::string_view bytes, int level) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const size_t used = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), level);
  if (ZSTD_isError(used)) return absl::ResourceExhaustedError(absl::StrCat("zstd: ", ZSTD_getErrorName(used)));
  out.resize(used);
  return out;
}

}  // namespace

std::string_view codec_name(Codec codec) { return row_of(codec).name; }

Levels levels_of(Codec codec) { return row_of(codec).levels; }

Result<std::string> compress(std::string_view bytes, Codec codec, int level) {
  switch (codec) {
    case Codec::kDeflate:
      return deflate_raw(bytes, level);
    case Codec::kLzma:
      return encode_lzma(bytes, level);
    case Codec::kZstd:
      return encode_zstd(bytes, level);
    case Codec::kNone:
      break;
  }
  return std::string(bytes);
}

Result<std::string> decompress(std::string_view bytes, Codec codec, int level, size_t max_bytes) {
  switch (codec) {
    case Codec::kDeflate:
      return inflate_raw(bytes, max_bytes);
    case Codec::kLzma:
      return decode_lzma(bytes, level, max_bytes);
    case Codec::kZstd:
      return decode_zstd(bytes, max_bytes);
    case Codec::kNone:
      break;
  }
  if (bytes.size() > max_bytes) return absl::DataLossError(absl::StrCat("more than ", max_bytes, " bytes"));
  return std::string(bytes);
}

}  // namespace espalier::ovoxel::internal
