// c10d's NCCL backend, in a file of its own: its headers need CUDA's.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <string>

namespace lookahead {

// Whether it is compiled in, and libtorch runs with the NCCL that it was compiled for.
bool nccl_is_there();

// What tells this GPU from all others, also of other machines.
std::string gpu_identity(int index);

// Of one that is there.
c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                            int size, std::chrono::milliseconds timeout);

}  // namespace lookahead
