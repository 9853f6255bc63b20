#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace espalier::coordinator {

// Tells watchers that something of a job has changed; what, they read from the database. Thread-safe.
class ChangeBoard {
 public:
  // Being there means interest in one job. Changes after its construction are not missed.
  class Watch {
   public:
    Watch(ChangeBoard& board, std::string job_id);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    // Until a change since the last wait (or construction), close() of the board, or the timeout.
    // False once the board is closed.
    bool wait(std::chrono::milliseconds timeout);

   private:
    ChangeBoard& board_;
    const std::string job_id_;
    uint64_t seen_ = 0;
  };

  // `heard` is told of every change, from the thread that makes it: it must be quick. Call before the first change.
  void listen(std::function<void(const std::string& job_id)> heard) { heard_ = std::move(heard); }

  void changed(const std::string& job_id);
  // Ends all waits, present and future.
  void close();

 private:
  struct Entry {
    uint64_t version = 0;
    int watchers = 0;
  };
  std::function<void(const std::string&)> heard_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::map<std::string, Entry> entries_;  // of watched jobs only
  bool closed_ = false;
};

}  // namespace espalier::coordinator
