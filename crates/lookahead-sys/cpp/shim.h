// What the C++ side offers to Rust. Declarations only, on narrow headers of libtorch, because every file that
// includes this pays for them.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>
#include <torch/optim/optimizer.h>

#include <cstdint>
#include <exception>
#include <memory>

#include "rust/cxx.h"

namespace rust::behavior {
// How cxx turns a C++ exception into a Rust error. The what() of libtorch's exceptions has a backtrace of a hundred
// lines, of which a user wants the first.
template <typename Try, typename Fail>
static void trycatch(Try&& func, Fail&& fail) noexcept try {
  func();
} catch (const c10::Error& error) {
  fail(error.what_without_backtrace());
} catch (const std::exception& error) {
  fail(error.what());
} catch (...) {
  fail("libtorch threw something other than an exception.");
}
}  // namespace rust::behavior

namespace lookahead {

using Tensor = at::Tensor;
using Optimizer = torch::optim::Optimizer;

struct AdagradNumbers;
struct AdanNumbers;
struct AutocastState;
enum class AverageRule : std::uint8_t;
struct AveragedTensor;
struct BatchStatistic;
struct Fingerprint;
struct CurvatureTerm;
struct GlooAddress;
struct GroupOptions;
struct CAdamNumbers;
struct LionNumbers;
struct ModuleTensor;
struct MuonPart;
struct MuonRule;
struct NAdamNumbers;
struct NamedTensor;
struct RAdamNumbers;
struct RecordedOp;
struct StoreAddress;
struct SyncPair;
struct SyncRule;
struct TensorRef;
enum class OptimizerKind : std::uint8_t;

// Optimizers.
OptimizerKind optimizer_kind(const Optimizer& optimizer);
std::size_t group_count(const Optimizer& optimizer);
void add_groups(Optimizer& optimizer, std::size_t count);
GroupOptions group_options(const Optimizer& optimizer, std::size_t group);
void set_group_options(Optimizer& optimizer, std::size_t group, GroupOptions options);
double second_moment_decay(const Optimizer& optimizer, std::size_t group);
void optimizer_zero_grad(Optimizer& optimizer);
void optimizer_step(Optimizer& optimizer);
// A step, and whether all weights that take gradients are finite after it; -1 if the optimizer does not look.
std::int8_t optimizer_step_and_look(Optimizer& optimizer);
std::uint8_t required_slots(const Optimizer& optimizer);
std::int64_t state_step(const Optimizer& optimizer, const Tensor& parameter);
std::unique_ptr<Tensor> state_slot(const Optimizer& optimizer, const Tensor& parameter, std::size_t slot);
void remove_state(Optimizer& optimizer, const Tensor& parameter);
void create_state(Optimizer& optimizer, const Tensor& parameter, std::int64_t step);
void set_state_slot(Optimizer& optimizer, const Tensor& parameter, std::size_t slot, const Tensor& value);

// Optimizers that step with fused kernels.
std::unique_ptr<Optimizer> fused_sgd(double lr, double momentum, double dampening, double weight_decay,
                                     bool nesterov);
std::unique_ptr<Optimizer> fused_adam(double lr, double beta1, double beta2, double weight_decay, double eps,
                                      bool amsgrad);
std::unique_ptr<Optimizer> fused_adamw(double lr, double beta1, double beta2, double weight_decay, double eps,
                                       bool amsgrad);
std::unique_ptr<Optimizer> fused_rmsprop(double lr, double alpha, double eps, double weight_decay, double momentum,
                                         bool centered);

// One step of many parameters; their tensors are weights, gradient and slots of the first, then of the second, …
void step_adagrad(rust::Slice<const TensorRef> tensors, rust::Slice<const AdagradNumbers> numbers, bool foreach);
void step_adan(rust::Slice<const TensorRef> tensors, rust::Slice<const AdanNumbers> numbers, bool foreach);
void step_cadam(rust::Slice<const TensorRef> tensors, rust::Slice<const CAdamNumbers> numbers, bool foreach);
void step_lion(rust::Slice<const TensorRef> tensors, rust::Slice<const LionNumbers> numbers, bool foreach);
void step_nadam(rust::Slice<const TensorRef> tensors, rust::Slice<const NAdamNumbers> numbers, bool foreach);
void step_radam(rust::Slice<const TensorRef> tensors, rust::Slice<const RAdamNumbers> numbers, bool foreach);

// Muon.
void muon_step(rust::Slice<const MuonPart> parts, MuonRule rule);
std::unique_ptr<Tensor> muon_orthogonalized(const Tensor& matrix, MuonRule rule);

// The sync, and the checks before it.
double sync(rust::Slice<const SyncPair> pairs, SyncRule rule);
double adaptive_slow_step_size(rust::Slice<const CurvatureTerm> terms, bool differences);
bool all_finite(rust::Slice<const TensorRef> tensors, bool foreach);
bool gradients_finite(rust::Slice<const TensorRef> parameters, bool foreach);

// Averages beside an inner optimizer.
bool average(rust::Slice<const AveragedTensor> tensors, AverageRule rule, bool foreach);

// Recorded calls of ATen's dispatcher.
void start_recording();
rust::Vec<RecordedOp> stop_recording();
std::unique_ptr<Tensor> to_meta(const Tensor& tensor);

// Tensors.
void fingerprints(rust::Slice<const TensorRef> tensors, rust::Slice<Fingerprint> out);
void set_version(const Tensor& tensor, std::uint32_t version);
void set_gradient(const Tensor& tensor, const Tensor& gradient);
void forget_gradient(const Tensor& tensor);
std::size_t identity(const Tensor& tensor);
bool is_inference(const Tensor& tensor);
std::unique_ptr<Tensor> to_channels_last(const Tensor& tensor);
bool is_channels_last(const Tensor& tensor);
bool suggests_channels_last(const Tensor& tensor);

// Arithmetic in place, without autograd.
void assign(const Tensor& target, const Tensor& source);
void clip_value(rust::Slice<const TensorRef> parameters, double max, bool foreach);
void fill(const Tensor& target, double value);
void scale(const Tensor& target, double factor);
void lerp(const Tensor& target, const Tensor& end, double weight);

// Norms.
double norm(rust::Slice<const TensorRef> tensors, rust::Slice<const TensorRef> from);
rust::Vec<double> norms(rust::Slice<const TensorRef> tensors, rust::Slice<const TensorRef> from);
double clip_norm(rust::Slice<const TensorRef> parameters, double max, bool foreach);

// The statistics that batch normalizations compute.
void start_batch_statistics();
rust::Vec<BatchStatistic> stop_batch_statistics();

// Images, gathered and normalized.
void normalized_images(rust::Slice<const std::uint8_t> pixels, rust::Slice<const std::size_t> indices,
                       rust::Slice<const float> mean, rust::Slice<const float> std, std::size_t plane,
                       rust::Slice<float> out);

// Modes of the calling thread.
void begin_inference();
void end_inference();
bool inference_is_on();
AutocastState autocast_state(bool cuda);
AutocastState begin_autocast(bool cuda, bool half);
AutocastState suspend_autocast(bool cuda);
void end_autocast(AutocastState before);

// The allocator.
bool keep_freed_memory();

// What libtorch and the libraries below it print.
void redirect_cerr(rust::Fn<void(rust::Slice<const std::uint8_t>)> write, rust::Fn<void()> flush);

// A copy in page-locked memory.
std::unique_ptr<Tensor> pin_memory(const Tensor& tensor);

// Process groups. Their members are hidden, because c10d's headers are wide.
struct ProcessGroup {
  struct Parts;
  explicit ProcessGroup(std::unique_ptr<Parts> made);
  ~ProcessGroup();
  std::unique_ptr<Parts> parts;
};
struct Work {
  struct Parts;
  explicit Work(std::unique_ptr<Parts> made);
  ~Work();
  std::unique_ptr<Parts> parts;
};
std::unique_ptr<ProcessGroup> join_store(const StoreAddress& address);
void store_set(const ProcessGroup& group, rust::Str key, rust::Slice<const std::uint8_t> value);
rust::Vec<std::uint8_t> store_get(const ProcessGroup& group, rust::Str key);
bool store_has(const ProcessGroup& group, rust::Slice<const rust::Str> keys);
void check_device(const GlooAddress& address);
void connect_gloo(ProcessGroup& group, const GlooAddress& address);
void set_timeout(const ProcessGroup& group, std::uint64_t milliseconds);
std::uint64_t timeout_of(const ProcessGroup& group);
void disconnect(const ProcessGroup& group);
void leave_group(ProcessGroup& group);
bool has_nccl();
rust::Vec<std::uint8_t> gpu_identity(std::int32_t index);
void connect_nccl(ProcessGroup& group);
bool uses_nccl(const ProcessGroup& group);
void abort_nccl(const ProcessGroup& group) noexcept;
std::unique_ptr<Work> all_reduce(const ProcessGroup& group, const Tensor& tensor, bool maximum);
std::unique_ptr<Work> broadcast(const ProcessGroup& group, const Tensor& tensor, std::int32_t root);
std::unique_ptr<Work> all_gather(const ProcessGroup& group, const Tensor& all, const Tensor& own);
std::unique_ptr<Work> gather_to_first(const ProcessGroup& group, rust::Slice<const TensorRef> all,
                                      const Tensor& own);
std::unique_ptr<Work> barrier(const ProcessGroup& group);
void wait_for(const Work& work);

// Copies between tensors and the flat ones that are sent.
bool copy_all_scaled(rust::Slice<const TensorRef> targets, rust::Slice<const TensorRef> sources,
                     rust::Slice<const TensorRef> bases, double scale);
bool fills_its_memory(const Tensor& tensor);
bool same_layout(rust::Slice<const TensorRef> some, rust::Slice<const TensorRef> others);
std::uint64_t bits_of(rust::Slice<const TensorRef> tensors, std::uint64_t share, std::uint64_t shares);

// TorchScript modules. Their members are hidden, because the headers are wide.
struct ScriptModule {
  struct Parts;
  explicit ScriptModule(std::unique_ptr<Parts> made);
  ~ScriptModule();
  std::unique_ptr<Parts> parts;
};
std::unique_ptr<ScriptModule> load_module(rust::Str path, bool cuda, std::int8_t index);
rust::Vec<ModuleTensor> module_tensors(const ScriptModule& module);
void set_module_training(const ScriptModule& module, bool training);
std::unique_ptr<Tensor> module_forward(const ScriptModule& module, const Tensor& input);
void save_module(const ScriptModule& module, rust::Str path, rust::Str extra_name, rust::Str extra_text);
std::unique_ptr<ScriptModule> begin_trace(rust::Slice<const NamedTensor> tensors, const Tensor& input);
void end_trace(const ScriptModule& traced, const Tensor& output);
void abandon_trace();

// Generators and the build.
std::unique_ptr<Tensor> generator_state(bool cuda, std::int8_t index);
void set_generator_state(bool cuda, std::int8_t index, const Tensor& state);
void seed_generators(std::uint64_t seed);
rust::String libtorch_version();
rust::String cpu_capability();

}  // namespace lookahead
