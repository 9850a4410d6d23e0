// One step of the parameters of a batch on the CPU, and a look at what it wrote.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/optimizer.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <unordered_set>
#include <vector>

#include "finite.h"
#include "flat.h"
#include "shim.h"
#include "step.h"

namespace lookahead {

// Tensors for one kernel call.
struct StepBatch {
  std::vector<Tensor> parameters;
  std::vector<Tensor> gradients;
  std::vector<Tensor> slots[3];
  std::vector<Tensor> steps;
};

// ATen's fused kernels don't move version counters. Without that, autograd would run an older graph on the new
// values.
inline void count_writes(const StepBatch& batch) {
  for (const Tensor& written : batch.parameters) written.unsafeGetTensorImpl()->bump_version();
  for (const auto& slot : batch.slots) {
    for (const Tensor& written : slot) written.unsafeGetTensorImpl()->bump_version();
  }
}

// Looks for NaN and infinity in the weights while a step writes them, if it is asked to.
struct Look {
  bool wanted = false;
  std::atomic<bool> finite{true};
  // The parameters that it has looked at.
  std::vector<const void*> seen;
};

// The parameters that are listed twice.
class Repeated {
 public:
  // Looks for them, if parameters have been added since the last time.
  void update(const torch::optim::Optimizer& optimizer) {
    std::size_t listed = 0;
    for (const auto& group : optimizer.param_groups()) listed += group.params().size();
    if (listed == listed_) return;
    listed_ = listed;
    repeated_.clear();
    std::unordered_set<const void*> seen;
    for (const auto& group : optimizer.param_groups()) {
      for (const Tensor& parameter : group.params()) {
        const void* own = parameter.unsafeGetTensorImpl();
        if (!seen.insert(own).second) repeated_.insert(own);
      }
    }
  }

  bool contains(const Tensor& parameter) const {
    return !repeated_.empty() && repeated_.count(parameter.unsafeGetTensorImpl()) > 0;
  }

 private:
  std::size_t listed_ = 0;
  std::unordered_set<const void*> repeated_;
};

// What the optimizers here have besides libtorch's own.
struct Fused {
  Look look;
  Repeated repeated;
  virtual ~Fused() = default;
};

// Elements between two looks, which are then still in the L2 cache.
constexpr std::int64_t kLook = 1 << 12;

// Steps all parameters of a batch on the CPU in one pass. `Pass` takes the element type.
template <template <typename> class Pass, typename Rule>
void step_on_cpu(const StepBatch& batch, at::ScalarType type, const Rule& rule, Look& look) {
  std::vector<StepPart> parts(batch.parameters.size());
  std::int64_t end = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    StepPart& part = parts[i];
    end += batch.parameters[i].numel();
    part.end = end;
    part.parameter = batch.parameters[i].mutable_data_ptr();
    part.gradient = batch.gradients[i].const_data_ptr();
    for (std::size_t s = 0; s < 3; ++s) {
      part.slots[s] = batch.slots[s].empty() ? nullptr : batch.slots[s][i].mutable_data_ptr();
    }
  }
  const auto pass = type == at::kDouble ? pass_of<Pass<double>, Rule>() : pass_of<Pass<float>, Rule>();
  const Finite finite = look.wanted ? finite_for(type) : nullptr;
  const std::int64_t block = look.wanted ? kLook : end;
  for_each_range(parts, [&](const StepPart& part, std::int64_t from, std::int64_t to) {
    for (std::int64_t at = from; at < to; at += block) {
      const std::int64_t stop = std::min(at + block, to);
      pass(rule, part, at, stop);
      if (finite != nullptr && !finite(part.parameter, at, stop)) look.finite.store(false, std::memory_order_relaxed);
    }
  });
  if (look.wanted) {
    for (const Tensor& parameter : batch.parameters) look.seen.push_back(parameter.unsafeGetTensorImpl());
  }
  count_writes(batch);
}

}  // namespace lookahead
