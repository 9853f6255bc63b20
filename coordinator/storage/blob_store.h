#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/sha256.h"
#include "common/status.h"

namespace espalier::coordinator {

// Bytes by their SHA-256 on local disk: ROOT/sha256/ab/cd/<digest>. A blob appears whole or not at all (written to
// ROOT/partial, fsync, rename, fsync of the folder) and never changes. Digests must be 64 lower-case hexadecimal
// digits; callers check (is_sha256). Thread-safe, but one writer per partial file at a time.
class BlobStore {
 public:
  struct Options {
    std::filesystem::path root;
    Bytes min_free{uint64_t{1} << 30};  // no write begins that would leave less on the disk
  };
  // Creates the folders. INTERNAL: not writable.
  static Result<std::unique_ptr<BlobStore>> open(Options options);

  bool contains(const std::string& sha256) const;
  // Bytes of an unfinished write under this key; 0 without one.
  int64_t partial_size(const std::string& key) const;

  // One blob being written. Bytes written so far stay under `key` when it is dropped unfinished.
  class Writer {
   public:
    ~Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    // RESOURCE_EXHAUSTED: disk full. INVALID_ARGUMENT: more than the announced size.
    Status write(std::string_view bytes);
    // Makes the blob. INVALID_ARGUMENT: fewer bytes than announced (they are kept). DATA_LOSS: another digest (they
    // are removed).
    Status commit();

   private:
    friend class BlobStore;
    Writer() = default;
    const BlobStore* store_ = nullptr;
    int fd_ = -1;
    int64_t size_ = 0;
    int64_t written_ = 0;
    std::string sha256_;
    std::filesystem::path partial_;
    Sha256 digest_;
  };
  // Goes on at `offset`, which must be partial_size(key), or 0 to begin anew. OUT_OF_RANGE: it is not.
  // RESOURCE_EXHAUSTED: `size` does not fit on the disk.
  Result<std::unique_ptr<Writer>> write(const std::string& key, const std::string& sha256, int64_t size,
                                        int64_t offset);

  // Reads a blob from `offset` on in pieces. The whole content is checked against its digest when it is read from 0;
  // DATA_LOSS then comes instead of the last piece.
  class Reader {
   public:
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    // The next piece of at most `max_bytes`; empty at the end.
    Result<std::string> next(size_t max_bytes);

   private:
    friend class BlobStore;
    Reader() = default;
    int fd_ = -1;
    int64_t left_ = 0;
    bool verify_ = false;
    std::string sha256_;
    Sha256 digest_;
  };
  // NOT_FOUND; DATA_LOSS: its size on disk is not `size`; OUT_OF_RANGE: offset beyond the end.
  Result<std::unique_ptr<Reader>> read(const std::string& sha256, int64_t size, int64_t offset) const;

  void remove(const std::string& sha256);

  // Digests of the blobs that were made at least this long ago.
  std::vector<std::string> older_than(std::chrono::milliseconds age) const;
  // Removes the bytes of unfinished writes that nobody added to for so long. Returns how many there were.
  int64_t remove_partials(std::chrono::milliseconds idle) const;

 private:
  explicit BlobStore(Options options) : options_(std::move(options)) {}
  std::filesystem::path path(const std::string& sha256) const;
  std::filesystem::path partial_path(const std::string& key) const;
  Status check_space(int64_t size) const;

  Options options_;
};

bool is_sha256(std::string_view text);

}  // namespace espalier::coordinator
