#include <assimp/postprocess.h>
#include <assimp/scene.h>

#include <assimp/IOStream.hpp>
#include <assimp/IOSystem.hpp>
#include <assimp/Importer.hpp>
#include <cmath>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "mesh/import_internal.h"

// FBX through Assimp. Assimp sees one file in memory and can open nothing else.
namespace espalier::mesh::internal {
namespace {

constexpr const char* kName = "asset.fbx";

class MemoryStream final : public Assimp::IOStream {
 public:
  explicit MemoryStream(std::string_view bytes) : bytes_(bytes) {}

  size_t Read(void* buffer, size_t size, size_t count) override {
    if (size == 0) return 0;
    const size_t rows = std::min(count, (bytes_.size() - at_) / size);
    std::memcpy(buffer, bytes_.data() + at_, rows * size);
    at_ += rows * size;
    return rows;
  }
  size_t Write(const void*, size_t, size_t) override { return 0; }
  aiReturn Seek(size_t offset, aiOrigin origin) override {
    const size_t base = origin == aiOrigin_SET ? 0 : origin == aiOrigin_CUR ? at_ : bytes_.size();
    if (offset > bytes_.size() - base) return aiReturn_FAILURE;
    at_ = base + offset;
    return aiReturn_SUCCESS;
  }
  size_t Tell() const override { return at_; }
  size_t FileSize() const override { return bytes_.size(); }
  void Flush() override {}

 private:
  std::string_view bytes_;
  size_t at_ = 0;
};

class MemorySystem final : public Assimp::IOSystem {
 public:
  explicit MemorySystem(std::string_view bytes) : bytes_(bytes) {}

  bool Exists(const char* path) const override { return std::strcmp(path, kName) == 0; }
  char getOsSeparator() const override { return '/'; }
  Assimp::IOStream* Open(const char* path, const char* mode) override {
    const bool read_only = std::strchr(mode, 'w') == nullptr && std::strchr(mode, 'a') == nullptr;
    return read_only && Exists(path) ? new MemoryStream(bytes_) : nullptr;
  }
  void Close(Assimp::IOStream* stream) override { delete stream; }

 private:
  std::string_view bytes_;
};

int metadata_int(const aiScene& source, const char* key, int fallback) {
  int value = fallback;
  return source.mMetaData != nullptr && source.mMetaData->Get(key, value) ? value : fallback;
}

// The file's axes to right, back, up: columns of the map are where the file's own axes go.
Transform axes_of(const aiScene& source) {
  const int up = metadata_int(source, "UpAxis", 1), front = metadata_int(source, "FrontAxis", 2);
  const int right = metadata_int(source, "CoordAxis", 0);
  const bool valid = up >= 0 && up < 3 && front >= 0 && front < 3 && right >= 0 && right < 3 && up != front &&
                     front != right && up != right;
  if (!valid) return y_up_to_z_up();
  Transform out;
  out.m.fill(0);
  out.m[15] = 1;
  out.m[static_cast<size_t>(right) * 4 + 0] = metadata_int(source, "CoordAxisSign", 1) < 0 ? -1 : 1;
  out.m[static_cast<size_t>(front) * 4 + 1] = metadata_int(source, "FrontAxisSign", 1) < 0 ? 1 : -1;
  out.m[static_cast<size_t>(up) * 4 + 2] = metadata_int(source, "UpAxisSign", 1) < 0 ? -1 : 1;
  return out;
}

Transform from_assimp(const aiMatrix4x4& a) {
  Transform out;
  for (unsigned c = 0; c < 4; ++c) {
    for (unsigned r = 0; r < 4; ++r) out.m[c * 4 + r] = a[r][c];
  }
  return out;
}

class FbxReader {
 public:
  FbxReader(const aiScene& source, const Companions& companions, const ImportLimits& limits)
      : source_(source), companions_(companions), limits_(limits), textures_(scene_, limits) {}

  Result<Scene> read();

 private:
  struct Step {
    const aiNode* node;
    Transform world;
    uint32_t depth;
  };
  Status collect(std::vector<Step>& order) const;
  Status add_mesh(const aiMesh& from, const Step& step);
  Result<Material> material(const aiMaterial& from);
  Result<std::optional<Texture>> texture(const aiMaterial& from, aiTextureType type);
  Result<std::string> texture_bytes(const std::string& path) const;

  const aiScene& source_;
  const Companions& companions_;
  const ImportLimits& limits_;
  Scene scene_;
  TextureStore textures_;
};

// Nodes in file order with their world transforms; instances are counted before any is copied.
Status FbxReader::collect(std::vector<Step>& order) const {
  uint64_t faces = 0, vertices = 0;
  std::vector<Step> stack = {
      {source_.mRootNode, axes_of(source_) * from_assimp(source_.mRootNode->mTransformation), 1}};
  while (!stack.empty()) {
    const Step step = stack.back();
    stack.pop_back();
    if (order.size() >= limits_.max_nodes || step.depth > limits_.max_depth) {
      return import_error(ImportError::kUnreadable, "too many or too deep nodes");
    }
    order.push_back(step);
    for (unsigned i = 0; i < step.node->mNumMeshes; ++i) {
      if (step.node->mMeshes[i] >= source_.mNumMeshes) return import_error(ImportError::kUnreadable, "bad mesh index");
      const aiMesh& mesh = *source_.mMeshes[step.node->mMeshes[i]];
      faces += mesh.mNumFaces;
      vertices += mesh.mNumVertices;
    }
    ESP_TRY(check_counts(faces, vertices, limits_));
    for (unsigned i = step.node->mNumChildren; i-- > 0;) {
      const aiNode* child = step.node->mChildren[i];
      stack.push_back({child, step.world * from_assimp(child->mTransformation), step.depth + 1});
    }
  }
  return absl::OkStatus();
}

Result<std::string> FbxReader::texture_bytes(const std::string& path) const {
  const aiTexture* embedded = source_.GetEmbeddedTexture(path.c_str());
  if (embedded == nullptr) return companions_.read_by_name(path, limits_.max_image_bytes);
  if (embedded->mHeight != 0) return absl::InvalidArgumentError("raw embedded texture");
  return std::string(reinterpret_cast<const char*>(embedded->pcData), embedded->mWidth);
}

Wrap wrap_of(aiTextureMapMode mode) {
  if (mode == aiTextureMapMode_Mirror) return Wrap::kMirror;
  return mode == aiTextureMapMode_Wrap ? Wrap::kRepeat : Wrap::kClamp;
}

Result<std::optional<Texture>> FbxReader::texture(const aiMaterial& from, aiTextureType type) {
  aiString path;
  aiTextureMapMode modes[2] = {aiTextureMapMode_Wrap, aiTextureMapMode_Wrap};
  if (from.GetTexture(type, 0, &path, nullptr, nullptr, nullptr, nullptr, modes) != aiReturn_SUCCESS) {
    return std::optional<Texture>();
  }
  const std::string key = path.C_Str();
  Texture out;
  out.image = textures_.add(key, textures_.known(key) ? Result<std::string>(std::string()) : texture_bytes(key));
  if (out.image < 0) return std::optional<Texture>();
  out.wrap_u = wrap_of(modes[0]);
  out.wrap_v = wrap_of(modes[1]);
  return std::optional<Texture>(out);
}

float unit(float value) { return std::isfinite(value) ? std::min(std::max(value, 0.0f), 1.0f) : 0.0f; }

Result<Material> FbxReader::material(const aiMaterial& from) {
  Material out;
  aiString name;
  if (from.Get(AI_MATKEY_NAME, name) == aiReturn_SUCCESS) out.name = name.C_Str();
  aiColor3D color(0.8f, 0.8f, 0.8f);
  from.Get(AI_MATKEY_COLOR_DIFFUSE, color);
  out.base_color = {color.r, color.g, color.b};
  float shininess = 20, reflectivity = 0, opacity = 1;
  from.Get(AI_MATKEY_SHININESS, shininess);
  from.Get(AI_MATKEY_REFLECTIVITY, reflectivity);
  from.Get(AI_MATKEY_OPACITY, opacity);
  out.roughness = unit(1 - std::sqrt(std::max(shininess, 0.0f)) / 10);
  out.metallic = unit(reflectivity);
  out.alpha = unit(opacity);
  if (out.alpha < 1) out.alpha_mode = AlphaMode::kBlend;
  ESP_ASSIGN(out.base_color_texture, texture(from, aiTextureType_DIFFUSE));
  if (!out.base_color_texture) {
    ESP_ASSIGN(out.base_color_texture, texture(from, aiTextureType_BASE_COLOR));
  }
  ESP_ASSIGN(out.metallic_texture, texture(from, aiTextureType_METALNESS));
  ESP_ASSIGN(out.roughness_texture, texture(from, aiTextureType_DIFFUSE_ROUGHNESS));
  if (out.metallic_texture) out.metallic = 1;
  if (out.roughness_texture) out.roughness = 1;
  if (out.base_color_texture) {
    out.base_color = {1, 1, 1};
    if (scene_.images[out.base_color_texture->image].channels == 4) {
      out.alpha_texture = out.base_color_texture;
      out.alpha_texture->channel = 3;
      out.alpha_mode = AlphaMode::kBlend;
    }
  }
  return out;
}

Status FbxReader::add_mesh(const aiMesh& from, const Step& step) {
  Mesh mesh;
  mesh.name = step.node->mName.C_Str();
  for (unsigned i = 0; i < from.mNumVertices; ++i) {
    mesh.positions.push_back({from.mVertices[i].x, from.mVertices[i].y, from.mVertices[i].z});
    if (from.mNormals != nullptr) mesh.normals.push_back({from.mNormals[i].x, from.mNormals[i].y, from.mNormals[i].z});
    const aiVector3D* uv = from.mTextureCoords[0];
    if (uv != nullptr) mesh.uvs.push_back({uv[i].x, 1 - uv[i].y});
    const aiColor4D* color = from.mColors[0];
    if (color != nullptr) mesh.colors.push_back({color[i].r, color[i].g, color[i].b, color[i].a});
  }
  const bool known = from.mMaterialIndex < scene_.materials.size();
  for (unsigned f = 0; f < from.mNumFaces; ++f) {
    const aiFace& face = from.mFaces[f];
    if (face.mNumIndices != 3) continue;  // points and lines
    mesh.triangles.push_back({face.mIndices[0], face.mIndices[1], face.mIndices[2]});
    mesh.material_ids.push_back(known ? static_cast<int32_t>(from.mMaterialIndex) : -1);
  }
  if (mesh.triangles.empty()) return absl::OkStatus();
  for (const Triangle& t : mesh.triangles) {
    for (const uint32_t corner : t) {
      if (corner >= mesh.positions.size()) return import_error(ImportError::kUnreadable, "bad vertex index");
    }
  }
  weld_points(mesh, /*with_normals=*/false);
  transform_mesh(step.world, mesh);
  scene_.meshes.push_back(std::move(mesh));
  return absl::OkStatus();
}

Result<Scene> FbxReader::read() {
  if (source_.mNumMaterials > limits_.max_materials)
    return import_error(ImportError::kUnreadable, "too many materials");
  std::vector<Step> order;
  ESP_TRY(collect(order));
  for (unsigned i = 0; i < source_.mNumMaterials; ++i) {
    ESP_ASSIGN(Material out, material(*source_.mMaterials[i]));
    scene_.materials.push_back(std::move(out));
  }
  for (const Step& step : order) {
    for (unsigned i = 0; i < step.node->mNumMeshes; ++i) {
      ESP_TRY(add_mesh(*source_.mMeshes[step.node->mMeshes[i]], step));
    }
  }
  return std::move(scene_);
}

}  // namespace

Result<Scene> import_fbx(std::string_view bytes, const Companions& companions, const ImportLimits& limits) {
  try {
    Assimp::Importer importer;
    importer.SetIOHandler(new MemorySystem(bytes));  // the importer owns it
    importer.SetPropertyInteger(AI_CONFIG_PP_SBP_REMOVE, aiPrimitiveType_POINT | aiPrimitiveType_LINE);
    const aiScene* source = importer.ReadFile(kName, aiProcess_Triangulate | aiProcess_SortByPType);
    if (source == nullptr || source->mRootNode == nullptr) {
      return import_error(ImportError::kUnreadable, importer.GetErrorString());
    }
    return FbxReader(*source, companions, limits).read();
  } catch (const std::exception& error) {
    return import_error(ImportError::kUnreadable, error.what());
  }
}

}  // namespace espalier::mesh::internal
