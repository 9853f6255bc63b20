#include "tests/client/fake_hub.h"

#include <openssl/sha.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "common/sha256.h"

namespace espalier::client {
namespace {

using nlohmann::json;

std::string content_of(const std::string& name) {
  std::string content;
  for (int i = 0; content.size() < 20'000; ++i) content += sha256_hex(name + std::to_string(i));
  return content;
}

json listing_of(const std::string& path, const std::string& content, int64_t size) {
  json entry = {{"type", "file"}, {"path", path}, {"size", size}, {"oid", git_blob_sha1(content)}};
  if (path.ends_with(".safetensors")) {
    entry["lfs"] = {{"oid", sha256_hex(content)}, {"size", size}, {"pointerSize", 135}};
  }
  return entry;
}

// The next answer that was told in advance.
std::optional<HttpAnswer> next(std::map<std::string, std::deque<HttpAnswer>>& answers, const std::string& key) {
  const auto found = answers.find(key);
  if (found == answers.end() || found->second.empty()) return std::nullopt;
  HttpAnswer answer = found->second.front();
  found->second.pop_front();
  return answer;
}

// "/owner/name/resolve/commit/path" and, of bytes, "/owner/name/path".
std::pair<std::string, std::string> repo_and_rest(const std::string& target) {
  const size_t end = target.find('/', target.find('/', 1) + 1);
  return {target.substr(1, end - 1), target.substr(end + 1)};
}

constexpr char kPipeline[] = R"({"name": "Trellis2ImageTo3DPipeline", "args": {
  "models": {
    "sparse_structure_flow_model": "ckpts/ss_flow_img_dit_1_3B_64_bf16",
    "sparse_structure_decoder": "microsoft/TRELLIS-image-large/ckpts/ss_dec_conv3d_16l8_fp16",
    "shape_slat_flow_model_512": "ckpts/slat_flow_img2shape_dit_1_3B_512_bf16",
    "shape_slat_flow_model_1024": "ckpts/slat_flow_img2shape_dit_1_3B_1024_bf16",
    "shape_slat_decoder": "ckpts/shape_dec_next_dc_f16c32_fp16",
    "tex_slat_flow_model_512": "ckpts/slat_flow_imgshape2tex_dit_1_3B_512_bf16",
    "tex_slat_flow_model_1024": "ckpts/slat_flow_imgshape2tex_dit_1_3B_1024_bf16",
    "tex_slat_decoder": "ckpts/tex_dec_next_dc_f16c32_fp16"},
  "image_cond_model": {"name": "DinoV3FeatureExtractor",
                       "args": {"model_name": "facebook/dinov3-vitl16-pretrain-lvd1689m"}}}})";

}  // namespace

std::string git_blob_sha1(const std::string& content) {
  const std::string blob = "blob " + std::to_string(content.size()) + '\0' + content;
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(blob.data()), blob.size(), digest);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), sizeof(digest)});
}

FakeHub::FakeHub()
    : hub_([this](const HttpRequest& request) { return answer_hub(request); }),
      bytes_([this](const HttpRequest& request) { return answer_bytes(request); }) {}

void FakeHub::add_official_base() {
  Repo& main = repos["microsoft/TRELLIS.2-4B"];
  main.commit = std::string(40, 'a');
  main.files = {{"pipeline.json", kPipeline}, {"README.md", "# TRELLIS.2\n"}};
  for (const std::string stem :
       {"ss_flow_img_dit_1_3B_64_bf16", "slat_flow_img2shape_dit_1_3B_512_bf16",
        "slat_flow_img2shape_dit_1_3B_1024_bf16", "slat_flow_imgshape2tex_dit_1_3B_512_bf16",
        "slat_flow_imgshape2tex_dit_1_3B_1024_bf16", "shape_dec_next_dc_f16c32_fp16", "tex_dec_next_dc_f16c32_fp16",
        "shape_enc_next_dc_f16c32_fp16", "tex_enc_next_dc_f16c32_fp16"}) {
    main.files["ckpts/" + stem + ".json"] = R"({"name": ")" + stem + R"("})";
    main.files["ckpts/" + stem + ".safetensors"] = content_of(stem);
  }
  Repo& first = repos["microsoft/TRELLIS-image-large"];
  first.commit = std::string(40, 'b');
  for (const std::string stem : {"ss_dec_conv3d_16l8_fp16", "ss_enc_conv3d_16l8_fp16", "slat_dec_gs"}) {
    first.files["ckpts/" + stem + ".json"] = R"({"name": ")" + stem + R"("})";
    first.files["ckpts/" + stem + ".safetensors"] = content_of(stem);
  }
  Repo& dino = repos["facebook/dinov3-vitl16-pretrain-lvd1689m"];
  dino.commit = std::string(40, 'c');
  dino.licence = "other";
  dino.files = {{"config.json", R"({"hidden_size": 1024})"}, {"model.safetensors", content_of("dino")}};
}

int FakeHub::downloads_of(const std::string& path) const {
  const auto requests = bytes_.requests();
  return static_cast<int>(std::count_if(requests.begin(), requests.end(), [&](const HttpRequest& request) {
    return repo_and_rest(request.target).second == path;
  }));
}

HttpAnswer FakeHub::answer_hub(const HttpRequest& request) {
  if (const auto told = next(api, request.target)) return *told;
  const std::string prefix = "/api/models/";
  const bool is_api = request.target.starts_with(prefix);
  const auto [id, rest] = repo_and_rest(is_api ? request.target.substr(prefix.size() - 1) : request.target);
  const auto found = repos.find(id);
  if (found == repos.end()) return {.code = 404, .headers = {{"X-Error-Code", "RepoNotFound"}}};
  const Repo& repo = found->second;
  if (is_api && rest.starts_with("revision/")) {
    const std::string revision = rest.substr(9);
    if (revision != "main" && revision != repo.commit) return {.code = 404};
    return {.body = json({{"sha", repo.commit}, {"cardData", {{"license", repo.licence}}}}).dump()};
  }
  if (is_api) return list(repo, id, request.target);
  if (!repo.needs_token.empty() && request.authorization != "Bearer " + repo.needs_token) {
    return {.code = request.authorization.empty() ? 401u : 403u,
            .headers = {{"X-Error-Code", "GatedRepo"}, {"X-Error-Message", "Access is \x1b[31mrestricted."}},
            .body = "Access is restricted."};
  }
  const std::string path = rest.substr(rest.find('/', 8) + 1);  // after "resolve/<commit>/"
  return {.code = 302, .headers = {{"Location", bytes_.url() + "/" + id + "/" + path}}, .body = "Found"};
}

HttpAnswer FakeHub::list(const Repo& repo, const std::string& id, const std::string& target) const {
  const size_t cursor = target.find("&cursor=");
  const size_t begin = cursor == std::string::npos ? 0 : std::stoul(target.substr(cursor + 8));
  json entries = json::array({{{"type", "directory"}, {"path", "ckpts"}, {"size", 0}, {"oid", std::string(40, '0')}}});
  size_t index = 0;
  for (const auto& [path, content] : repo.files) {
    const bool here = index >= begin && index < begin + page_size;
    ++index;
    if (!here) continue;
    const auto size = listed_sizes.find(path);
    entries.push_back(
        listing_of(path, content, size == listed_sizes.end() ? static_cast<int64_t>(content.size()) : size->second));
  }
  HttpAnswer answer{.body = entries.dump()};
  if (begin + page_size < index) {  // with the public hub's name, as a mirror passes it on
    answer.headers["Link"] = "<https://hub.example.org/api/models/" + id + "/tree/" + repo.commit +
                             "?recursive=true&cursor=" + std::to_string(begin + page_size) + ">; rel=\"next\"";
  }
  return answer;
}

HttpAnswer FakeHub::answer_bytes(const HttpRequest& request) {
  const auto [id, path] = repo_and_rest(request.target);
  const auto repo = repos.find(id);
  if (repo == repos.end() || !repo->second.files.contains(path)) return {.code = 404};
  std::string content = repo->second.files.at(path);
  if (wrong_bytes.contains(path)) content.back() = static_cast<char>(content.back() ^ 1);
  HttpAnswer answer = next(faults, path).value_or(HttpAnswer{});
  if (answer.code != 200 || !answer.body.empty()) return answer;
  answer.body = content;
  if (ranges && request.range.starts_with("bytes=")) {
    const size_t begin = std::stoul(request.range.substr(6));
    if (begin >= content.size()) return {.code = 416};
    answer.code = 206;
    answer.body = content.substr(begin);
    answer.headers["Content-Range"] = "bytes " + std::to_string(begin) + "-" + std::to_string(content.size() - 1) +
                                      "/" + std::to_string(content.size());
  }
  return answer;
}

}  // namespace espalier::client
