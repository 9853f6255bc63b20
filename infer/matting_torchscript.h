#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "common/status.h"
#include "image/foreground.h"

namespace espalier::infer {

// Background removal by a network exported to a TorchScript file, e.g. a traced BiRefNet. The file is code: it comes
// from the operator's configuration, never from a request.
//
// The network takes [1, 3, 1024, 1024] (image/matte.h) and returns logits [1, 1, S, S], or a list or tuple of tensors
// whose last is that. It may use torchvision::deform_conv2d, which is provided here.
// NOT_FOUND: no such file; INVALID_ARGUMENT: not a TorchScript file this build can load.
// The result is thread-safe, one image at a time; INTERNAL when the network fails or returns something else.
Result<std::unique_ptr<image::Matting>> open_torchscript_matting(const std::filesystem::path& file,
                                                                 const std::string& device);

}  // namespace espalier::infer
