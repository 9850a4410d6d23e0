// c10d's NCCL backend. build.rs defines LOOKAHEAD_NCCL where libtorch has CUDA and the headers of CUDA
// and NCCL are found.

#include "nccl_backend.h"

#ifdef LOOKAHEAD_NCCL

#define USE_C10D_NCCL

#include <ATen/cuda/CUDAContext.h>
#include <c10/util/env.h>
#include <torch/csrc/cuda/nccl.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace lookahead {

bool nccl_is_there() {
  // The options of a process group hold a structure of NCCL's own, whose size is another with each version.
  const std::uint64_t version = torch::cuda::nccl::version();
  return version >> 32 == NCCL_MAJOR && ((version >> 16) & 0xffff) == NCCL_MINOR;
}

std::string gpu_identity(int index) {
  const auto& uuid = at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index))->uuid;
  return {uuid.bytes, sizeof uuid.bytes};
}

c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                            int size, std::chrono::milliseconds timeout) {
  // What it is without this is a thread of c10d's that ends the whole process, in the middle of whatever
  // it does, when an operation takes too long. With it the one who waits gets an error. It is read from
  // the environment alone; a value that is there is the user's.
  c10::utils::set_env("TORCH_NCCL_BLOCKING_WAIT", "1", /*overwrite=*/false);
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
}

}  // namespace lookahead

#else

namespace lookahead {

bool nccl_is_there() { return false; }

std::string gpu_identity(int) { return {}; }

c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>&, int, int,
                                            std::chrono::milliseconds) {
  return {};
}

}  // namespace lookahead

#endif
