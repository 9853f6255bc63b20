#include "train/distributed/process_group.h"

#include <string>
#include <string_view>
#include <torch/csrc/distributed/c10d/Work.hpp>

#include "absl/strings/str_cat.h"
#include "train/torch_errors.h"

namespace espalier::train::distributed {
namespace {

constexpr int kTag = 0;

// The backends tell a rank that is silent from one that is gone only by their text.
Status why(const char* what, const std::exception& error) {
  const std::string text = message_of(error);
  if (text.find("imed out") != std::string::npos || text.find("timeout") != std::string::npos) {
    return absl::DeadlineExceededError(
        absl::StrCat("another rank gave no answer in time, it hangs or is cut off (", what, ": ", text, ")"));
  }
  return absl::UnavailableError(absl::StrCat("another rank is gone (", what, ": ", text, ")"));
}

}  // namespace

ProcessGroupCollective::~ProcessGroupCollective() {
  // Taking a broken group apart may wait for the rank that is lost: it is left to the end of the process.
  if (broken_) (void)group_.release();
}

template <class Start>
void ProcessGroupCollective::finish(const char* what, Start&& start) {
  try {
    start()->wait();
  } catch (const std::exception& error) {
    broken_ = true;
    throw StatusError(why(what, error));
  }
}

void ProcessGroupCollective::all_reduce_sum(at::Tensor& tensor) {
  std::vector<at::Tensor> tensors{tensor};
  finish("all-reduce", [&] { return group_->allreduce(tensors); });
}

void ProcessGroupCollective::broadcast(at::Tensor& tensor, int root) {
  std::vector<at::Tensor> tensors{tensor};
  c10d::BroadcastOptions options;
  options.rootRank = root;
  finish("broadcast", [&] { return group_->broadcast(tensors, options); });
}

void ProcessGroupCollective::send(const at::Tensor& tensor, int rank) {
  std::vector<at::Tensor> tensors{tensor};
  finish("send", [&] { return group_->send(tensors, rank, kTag); });
}

void ProcessGroupCollective::receive(at::Tensor& tensor, int rank) {
  std::vector<at::Tensor> tensors{tensor};
  finish("receive", [&] { return group_->recv(tensors, rank, kTag); });
}

void ProcessGroupCollective::barrier() {
  finish("barrier", [&] { return group_->barrier(); });
}

}  // namespace espalier::train::distributed
