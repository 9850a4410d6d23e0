// A contender in C++ on libtorch, without anything between them: what a wrapper of libtorch can reach.
//
// It does what lines of JSON on standard input say, and answers in lines of JSON: see protocol.rs. It trains MLPs and
// CNNs on images, with SGD or Adam, and with Lookahead or without.

#include <malloc.h>
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

#include "json.h"

using at::Tensor;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The tensors of a safetensors file.
std::map<std::string, Tensor> load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::uint64_t length = 0;
  file.read(reinterpret_cast<char*>(&length), sizeof length);
  if (!file) throw std::runtime_error(path + " can't be read.");
  std::string header(length, '\0');
  file.read(header.data(), static_cast<std::streamsize>(length));
  const Json entries = Json::parse(header);
  std::map<std::string, Tensor> found;
  for (const auto& [name, entry] : entries.members()) {
    if (name == "__metadata__") continue;
    std::vector<std::int64_t> shape;
    for (const Json& size : entry["shape"].items()) shape.push_back(static_cast<std::int64_t>(size.number()));
    const bool is_float = entry["dtype"].text() == "F32";
    if (!is_float && entry["dtype"].text() != "I64") throw std::runtime_error(path + " has another type.");
    Tensor tensor = at::empty(shape, is_float ? at::kFloat : at::kLong);
    const auto begin = static_cast<std::streamoff>(entry["data_offsets"].items()[0].number());
    file.seekg(static_cast<std::streamoff>(8 + length) + begin);
    file.read(static_cast<char*>(tensor.data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
    if (!file) throw std::runtime_error(path + " is too short.");
    found.emplace(name, std::move(tensor));
  }
  return found;
}

// The trainer's `mlp` or `cnn`, as a function of its weights: convolutions with pooling, then layers.
class Model {
 public:
  Model(const Json& model, const std::map<std::string, Tensor>& initial) {
    if (model["kind"].text() == "cnn") add("conv", model["channels"].items().size(), initial);
    convolutions_ = weights.size() / 2;
    add("fc", model["hidden"].items().size(), initial);
    push("out", initial);
  }

  Tensor operator()(const std::vector<Tensor>& with, Tensor x) const {
    const std::size_t layers = with.size() / 2;
    for (std::size_t i = 0; i < layers; ++i) {
      const Tensor &weight = with[2 * i], &bias = with[2 * i + 1];
      if (i < convolutions_) {
        x = at::max_pool2d(at::relu(at::conv2d(x, weight, bias, 1, 1)), 2);
      } else {
        if (i == convolutions_) x = x.flatten(1);
        x = at::linear(x, weight, bias);
        if (i + 1 < layers) x = at::relu(x);
      }
    }
    return x;
  }

  std::vector<Tensor> weights;

 private:
  void add(const std::string& kind, std::size_t count, const std::map<std::string, Tensor>& initial) {
    for (std::size_t i = 1; i <= count; ++i) push(kind + std::to_string(i), initial);
  }

  void push(const std::string& layer, const std::map<std::string, Tensor>& initial) {
    for (const char* part : {".weight", ".bias"}) {
      weights.push_back(initial.at(layer + part).clone().set_requires_grad(true));
    }
  }

  std::size_t convolutions_ = 0;
};

// SGD or Adam by libtorch's fused kernels, which are quicker than `torch::optim`.
class Inner {
 public:
  Inner(const Json& config, std::vector<Tensor> weights) : config_(config), weights_(std::move(weights)) {
    is_sgd_ = config["kind"].text() == "sgd";
    if (!is_sgd_ && config["kind"].text() != "adam") throw std::runtime_error("The optimizer is sgd or adam.");
    for (const Tensor& weight : weights_) {
      first_.push_back(at::zeros_like(weight));
      if (is_sgd_) continue;
      second_.push_back(at::zeros_like(weight));
      steps_.push_back(at::zeros({}, at::kFloat));
    }
  }

  void step() {
    std::vector<Tensor> gradients;
    for (const Tensor& weight : weights_) gradients.push_back(weight.grad());
    const double lr = config_["lr"].number(), decay = config_["weight_decay"].number();
    if (is_sgd_) {
      at::_fused_sgd_(weights_, gradients, first_, decay, config_["momentum"].number(), lr,
                      config_["dampening"].number(), config_["nesterov"].boolean(), false, is_first_);
      is_first_ = false;
    } else {
      at::_foreach_add_(steps_, 1);
      at::_fused_adam_(weights_, gradients, first_, second_, {}, steps_, lr, config_["beta1"].number(),
                       config_["beta2"].number(), decay, config_["eps"].number(), false, false);
    }
  }

 private:
  const Json config_;
  std::vector<Tensor> weights_, first_, second_, steps_;
  bool is_sgd_ = true, is_first_ = true;
};

class Training {
 public:
  explicit Training(const Json& job)
      : config_(job["work"]["config"]),
        model_(config_["model"], load(job["initial"].text())),
        inner_(config_["optimizer"], model_.weights),
        batch_(static_cast<std::int64_t>(config_["data"]["batch_size"].number())) {
    auto samples = load(job["samples"].text());
    inputs_ = samples.at("inputs");
    targets_ = samples.at("targets");
    test_inputs_ = samples.at("test_inputs");
    test_targets_ = samples.at("test_targets");
    order_ = load(job["order"].text()).at("order");
    if (const Json& lookahead = config_["lookahead"]; !lookahead.is_null()) {
      k_ = static_cast<std::uint64_t>(lookahead["k"].number());
      alpha_ = lookahead["alpha"].number();
      for (const Tensor& weight : model_.weights) slow_.push_back(weight.detach().clone());
    }
  }

  double step() {
    if (at_ >= order_.size(0)) {
      order_ = at::randperm(order_.size(0), at::kLong);
      at_ = 0;
    }
    const Tensor index = order_.slice(0, at_, std::min(at_ + batch_, order_.size(0)));
    at_ += batch_;
    const Tensor logits = model_(model_.weights, inputs_.index_select(0, index));
    const Tensor loss = at::cross_entropy_loss(logits, targets_.index_select(0, index));
    const double value = loss.item<float>();
    for (Tensor& weight : model_.weights) weight.mutable_grad().reset();
    loss.backward();
    const at::NoGradGuard no_grad;
    inner_.step();
    if (++steps_; k_ != 0 && steps_ % k_ == 0) sync();
    return value;
  }

  double evaluate() const {
    const c10::InferenceMode inference;
    const std::vector<Tensor>& weights = k_ == 0 ? model_.weights : slow_;
    double total = 0;
    for (std::int64_t begin = 0; begin < test_inputs_.size(0); begin += 250) {
      const Tensor targets = test_targets_.slice(0, begin, begin + 250);
      const Tensor logits = model_(weights, test_inputs_.slice(0, begin, begin + 250));
      total += at::cross_entropy_loss(logits, targets).item<float>() * static_cast<double>(targets.size(0));
    }
    return total / static_cast<double>(test_inputs_.size(0));
  }

 private:
  void sync() {
    for (std::size_t i = 0; i < slow_.size(); ++i) {
      slow_[i].lerp_(model_.weights[i], alpha_);
      model_.weights[i].copy_(slow_[i]);
    }
  }

  const Json config_;
  Model model_;
  Inner inner_;
  Tensor inputs_, targets_, test_inputs_, test_targets_, order_;
  std::vector<Tensor> slow_;
  std::int64_t batch_, at_ = 0;
  std::uint64_t k_ = 0, steps_ = 0;
  double alpha_ = 0;
};

std::string done() {
  std::ostringstream words;
  words << R"({"is":"done","versions":"C++ on libtorch )" << TORCH_VERSION << " (";
#if defined(__clang__)
  words << "clang " << __clang_major__ << '.' << __clang_minor__;
#else
  words << "GCC " << __GNUC__ << '.' << __GNUC_MINOR__;
#endif
  words << ")\"}";
  return words.str();
}

std::string obey(const Json& command, std::unique_ptr<Training>& training) {
  const std::string& what = command["do"].text();
  if (what == "prepare") {
    training.reset();
    at::set_num_threads(static_cast<int>(command["threads"].number()));
    training = std::make_unique<Training>(command);
    return done();
  }
  if (what == "release") {
    training.reset();
    return done();
  }
  if (!training) throw std::runtime_error("Nothing is prepared.");
  std::ostringstream answer;
  answer.precision(17);
  const auto start = Clock::now();
  if (what == "losses") {
    answer << R"({"is":"losses","losses":[)";
    const auto steps = static_cast<std::uint64_t>(command["steps"].number());
    for (std::uint64_t i = 0; i < steps; ++i) answer << (i == 0 ? "" : ",") << training->step();
    answer << "]}";
  } else if (what == "evaluate") {
    const double loss = training->evaluate();
    answer << R"({"is":"evaluated","loss":)" << loss << R"(,"seconds":)" << seconds_since(start) << '}';
  } else if (what == "time") {
    const auto cycle = static_cast<std::uint64_t>(command["cycle"].number());
    std::uint64_t steps = 0;
    do {
      for (std::uint64_t i = 0; i < cycle; ++i) training->step();
      steps += cycle;
    } while (seconds_since(start) < command["seconds"].number());
    answer << R"({"is":"timed","steps":)" << steps << R"(,"seconds":)" << seconds_since(start) << '}';
  } else {
    throw std::runtime_error("This contender can't " + what + ".");
  }
  return answer.str();
}

}  // namespace

int main() {
#if defined(__GLIBC__)
  // As this project's contenders do: without it, glibc returns large tensors to the system in every step.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 29);
#endif
  std::unique_ptr<Training> training;
  for (std::string line; std::getline(std::cin, line);) {
    std::string answer;
    try {
      answer = obey(Json::parse(line), training);
    } catch (const std::exception& error) {
      std::string message = error.what();
      message = message.substr(0, message.find('\n'));
      std::replace(message.begin(), message.end(), '"', '\'');
      std::replace(message.begin(), message.end(), '\\', '/');
      answer = R"({"is":"failed","message":")" + message + R"("})";
    }
    std::cout << answer << std::endl;
  }
}
