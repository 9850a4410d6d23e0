// TorchScript modules: loaded, run, traced and saved.

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/fixup_trace_scope_blocks.h>
#include <torch/csrc/jit/passes/normalize_ops.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <optional>
#include <string>
#include <utility>

#include "lookahead-sys/src/ffi.rs.h"
#include "lookahead-sys/src/ffi/torchscript.rs.h"
#include "shim.h"

namespace lookahead {

namespace jit = torch::jit;

struct ScriptModule::Parts {
  // A handle: copies are the same module.
  jit::Module module;
};

ScriptModule::ScriptModule(std::unique_ptr<Parts> made) : parts(std::move(made)) {}
ScriptModule::~ScriptModule() = default;

namespace {

std::unique_ptr<ScriptModule> wrapped(jit::Module module) {
  return std::make_unique<ScriptModule>(
      std::make_unique<ScriptModule::Parts>(ScriptModule::Parts{std::move(module)}));
}

jit::Module empty_module(const std::shared_ptr<jit::CompilationUnit>& unit) {
  jit::Module module(c10::QualifiedName("__torch__.Network"), unit, /*shouldMangle=*/true);
  // As PyTorch's own modules have it: train() and eval() set it.
  module.register_attribute("training", c10::BoolType::get(), false);
  return module;
}

// Registers a tensor under a name with dots, in a submodule for each part of it but the last.
void add_tensor(jit::Module module, const std::string& name, const NamedTensor& tensor) {
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos) {
    module.register_parameter(name, *tensor.tensor, /*is_buffer=*/!tensor.is_parameter);
    return;
  }
  const std::string child = name.substr(0, dot);
  if (!module.hasattr(child)) module.register_module(child, empty_module(module._ivalue()->compilation_unit()));
  add_tensor(module.attr(child).toModule(), name.substr(dot + 1), tensor);
}

// Makes the trace read the module's tensors as its attributes, where it would otherwise copy them as constants. As
// the tracer of torch.jit.trace does.
void trace_attributes(jit::tracer::TracingState& state, jit::Value* value, const jit::Module& module,
                      const std::string& prefix) {
  state.setValue(module._ivalue(), value);
  jit::Graph& graph = *state.graph;
  for (const jit::NameValue& attribute : module.named_attributes(/*recurse=*/false)) {
    const std::string name = prefix + "." + attribute.name;
    jit::Value* read = graph.insertNode(graph.create(jit::prim::TracedAttr))
                           ->s_(jit::attr::scope, name)
                           ->output()
                           ->setType(attribute.value.type());
    if (attribute.value.isTensor()) state.setValue(attribute.value, read);
    if (attribute.value.isModule()) trace_attributes(state, read, attribute.value.toModule(), name);
  }
}

}  // namespace

std::unique_ptr<ScriptModule> load_module(rust::Str path, bool cuda, std::int8_t index) {
  const at::Device device = cuda ? at::Device(at::kCUDA, index) : at::Device(at::kCPU);
  return wrapped(jit::load(std::string(path), device));
}

rust::Vec<ModuleTensor> module_tensors(const ScriptModule& module) {
  rust::Vec<ModuleTensor> all;
  const auto add = [&](const std::string& name, const Tensor& tensor, bool is_parameter) {
    if (tensor.defined()) all.push_back({rust::String(name), is_parameter, std::make_unique<Tensor>(tensor)});
  };
  for (const auto& [name, tensor] : module.parts->module.named_parameters()) add(name, tensor, true);
  for (const auto& [name, tensor] : module.parts->module.named_buffers()) add(name, tensor, false);
  return all;
}

void set_module_training(const ScriptModule& module, bool training) {
  jit::Module(module.parts->module).train(training);
}

std::unique_ptr<Tensor> module_forward(const ScriptModule& module, const Tensor& input) {
  // An optimized graph is made once the first calls have been profiled. Where it fuses kernels it may round differently,
  // and results would depend on the number of calls before.
  const jit::GraphOptimizerEnabledGuard unoptimized(false);
  const c10::IValue output = jit::Module(module.parts->module).forward({input});
  TORCH_CHECK(output.isTensor(), "Its `forward` returns ", output.type()->annotation_str(), ", not a tensor.");
  return std::make_unique<Tensor>(output.toTensor());
}

void save_module(const ScriptModule& module, rust::Str path, rust::Str extra_name, rust::Str extra_text) {
  jit::ExtraFilesMap extra;
  if (!extra_name.empty()) extra[std::string(extra_name)] = std::string(extra_text);
  module.parts->module.save(std::string(path), extra);
}

std::unique_ptr<ScriptModule> begin_trace(rust::Slice<const NamedTensor> tensors, const Tensor& input) {
  TORCH_CHECK(!jit::tracer::isTracing(), "This thread is already tracing.");
  const jit::Module module = empty_module(std::make_shared<jit::CompilationUnit>());
  for (const NamedTensor& tensor : tensors) add_tensor(module, std::string(tensor.name), tensor);
  auto state = std::make_shared<jit::tracer::TracingState>();
  jit::Value* self = state->graph->insertInput(0, "self")->setType(module._ivalue()->type());
  trace_attributes(*state, self, module, "__module");
  state->setValue(input, state->graph->addInput("input")->setType(c10::TensorType::get()));
  jit::tracer::setTracingState(std::move(state));
  return wrapped(module);
}

void end_trace(const ScriptModule& traced, const Tensor& output) {
  const std::shared_ptr<jit::tracer::TracingState> state = jit::tracer::getTracingState();
  TORCH_CHECK(state, "This thread is not tracing.");
  jit::Module module = traced.parts->module;
  state->graph->registerOutput(state->getOutput(output, 0));
  jit::tracer::setTracingState(nullptr);
  jit::FixupTraceScopeBlocks(state->graph, &module);
  jit::NormalizeOps(state->graph);
  const c10::QualifiedName name(*module.type()->name(), "forward");
  module.type()->addMethod(module._ivalue()->compilation_unit()->create_function(name, state->graph));
}

void abandon_trace() { jit::tracer::abandon(); }

}  // namespace lookahead
