// c10d's NCCL backend, in a file of its own: its headers need CUDA's.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>

namespace lookahead {

// Whether it is compiled in.
extern const bool kHasNccl;

// Null where it is not compiled in.
c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                            int size, std::chrono::milliseconds timeout);

}  // namespace lookahead
