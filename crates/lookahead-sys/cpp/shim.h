// What the C++ half offers to Rust. Declarations only: the libtorch headers that are needed here
// are the narrow ones, since every file that includes this pays for them.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>
#include <torch/optim/optimizer.h>

#include <cstdint>
#include <exception>
#include <memory>

#include "rust/cxx.h"

namespace rust::behavior {
// How cxx turns a C++ exception into a Rust error. libtorch's exceptions carry a backtrace of a
// hundred lines in what(); a user wants the sentence.
template <typename Try, typename Fail>
static void trycatch(Try&& func, Fail&& fail) noexcept try {
  func();
} catch (const c10::Error& error) {
  fail(error.what_without_backtrace());
} catch (const std::exception& error) {
  fail(error.what());
} catch (...) {
  fail("libtorch threw something that is no exception.");
}
}  // namespace rust::behavior

namespace lookahead {

using Tensor = at::Tensor;
using Optimizer = torch::optim::Optimizer;

struct Fingerprint;
struct GroupOptions;
struct TensorRef;
enum class OptimizerKind : std::uint8_t;

// Optimizers.
OptimizerKind optimizer_kind(const Optimizer* optimizer);
std::size_t group_count(const Optimizer* optimizer);
GroupOptions group_options(const Optimizer* optimizer, std::size_t group);
void set_group_options(Optimizer* optimizer, std::size_t group, GroupOptions options);
void optimizer_zero_grad(Optimizer* optimizer);
void optimizer_step(Optimizer* optimizer);
std::uint8_t required_slots(const Optimizer* optimizer);
std::int64_t state_step(const Optimizer* optimizer, const Tensor* parameter);
Tensor* state_slot(const Optimizer* optimizer, const Tensor* parameter, std::size_t slot);
void remove_state(Optimizer* optimizer, const Tensor* parameter);
void create_state(Optimizer* optimizer, const Tensor* parameter, std::int64_t step);
void set_state_slot(Optimizer* optimizer, const Tensor* parameter, std::size_t slot,
                    const Tensor* value);

// Tensors.
void fingerprints(rust::Slice<const TensorRef> tensors, rust::Slice<Fingerprint> out);
void set_version(const Tensor* tensor, std::uint32_t version);
std::size_t identity(const Tensor* tensor);

// Arithmetic in place, without autograd.
void interpolate(const Tensor* slow, const Tensor* fast, double alpha);
void assign(const Tensor* target, const Tensor* source);
void clip_value(rust::Slice<const TensorRef> parameters, double max);
double clip_norm(rust::Slice<const TensorRef> parameters, double max);

// Generators and the build.
Tensor* generator_state(bool cuda, std::int8_t index);
void set_generator_state(bool cuda, std::int8_t index, const Tensor* state);
rust::String libtorch_version();
rust::String cpu_capability();

}  // namespace lookahead
