// c10d's NCCL backend. build.rs defines LOOKAHEAD_NCCL if libtorch has CUDA and it finds the headers of CUDA and
// NCCL.

#include "nccl_backend.h"
#include "shim.h"

#ifdef LOOKAHEAD_NCCL

#define USE_C10D_NCCL

#include <ATen/cuda/CUDAContext.h>
#include <c10/util/env.h>
#include <torch/csrc/cuda/nccl.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace lookahead {

bool has_nccl() {
  // The options of a process group contain one of NCCL's structs, whose size changes with each version.
  const std::uint64_t version = torch::cuda::nccl::version();
  return version >> 32 == NCCL_MAJOR && ((version >> 16) & 0xffff) == NCCL_MINOR;
}

rust::Vec<std::uint8_t> gpu_identity(std::int32_t index) {
  rust::Vec<std::uint8_t> identity;
  if (!has_nccl()) return identity;
  const auto& uuid = at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index))->uuid;
  for (const char byte : uuid.bytes) identity.push_back(static_cast<std::uint8_t>(byte));
  return identity;
}

c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                            int size, std::chrono::milliseconds timeout) {
  // By default a thread of c10d kills the whole process when an operation takes too long. With this variable
  // the waiting call gets an error instead. There is no other way to set it; a user's value is kept.
  c10::utils::set_env("TORCH_NCCL_BLOCKING_WAIT", "1", /*overwrite=*/false);
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
}

}  // namespace lookahead

#else

namespace lookahead {

bool has_nccl() { return false; }

rust::Vec<std::uint8_t> gpu_identity(std::int32_t) { return {}; }

c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>&, int, int,
                                            std::chrono::milliseconds) {
  return {};
}

}  // namespace lookahead

#endif
