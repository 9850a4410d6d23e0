// As much of JSON as the protocol and the headers of safetensors files need.
#pragma once

#include <cctype>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

class Json {
 public:
  static Json parse(const std::string& text) {
    const char* at = text.c_str();
    return value(at);
  }

  bool is_null() const { return kind_ == Kind::kNull; }
  double number() const { return of(Kind::kNumber, "number").number_; }
  bool boolean() const { return of(Kind::kBoolean, "boolean").number_ != 0; }
  const std::string& text() const { return of(Kind::kText, "string").text_; }
  const std::vector<Json>& items() const { return of(Kind::kArray, "array").items_; }
  const std::map<std::string, Json>& members() const { return of(Kind::kObject, "object").members_; }

  const Json& operator[](const std::string& key) const {
    const auto found = members().find(key);
    if (found == members().end()) throw std::runtime_error("JSON lacks the key " + key + ".");
    return found->second;
  }

  double number_or(const std::string& key, double otherwise) const {
    const auto found = members().find(key);
    return found == members().end() || found->second.is_null() ? otherwise : found->second.number();
  }

 private:
  enum class Kind { kNull, kBoolean, kNumber, kText, kArray, kObject };

  const Json& of(Kind kind, const char* name) const {
    if (kind_ != kind) throw std::runtime_error(std::string("A value in JSON is not a ") + name + ".");
    return *this;
  }

  static char next(const char*& at) {
    while (std::isspace(static_cast<unsigned char>(*at))) ++at;
    return *at;
  }

  static void expect(const char*& at, char wanted) {
    if (next(at) != wanted) throw std::runtime_error(std::string("JSON lacks a ") + wanted + ".");
    ++at;
  }

  static Json value(const char*& at) {
    Json found;
    const char first = next(at);
    if (first == '{') {
      found.kind_ = Kind::kObject;
      for (++at; next(at) != '}';) {
        std::string key = string(at);
        expect(at, ':');
        found.members_.emplace(std::move(key), value(at));
        if (next(at) == ',') ++at;
      }
      ++at;
    } else if (first == '[') {
      found.kind_ = Kind::kArray;
      for (++at; next(at) != ']';) {
        found.items_.push_back(value(at));
        if (next(at) == ',') ++at;
      }
      ++at;
    } else if (first == '"') {
      found.kind_ = Kind::kText;
      found.text_ = string(at);
    } else if (first == 't' || first == 'f') {
      found.kind_ = Kind::kBoolean;
      found.number_ = first == 't';
      at += first == 't' ? 4 : 5;
    } else if (first == 'n') {
      at += 4;
    } else {
      char* end = nullptr;
      found.kind_ = Kind::kNumber;
      found.number_ = std::strtod(at, &end);
      if (end == at) throw std::runtime_error("JSON has an unexpected character.");
      at = end;
    }
    return found;
  }

  // Paths and names: of the escapes only those of one character.
  static std::string string(const char*& at) {
    expect(at, '"');
    std::string found;
    for (; *at != '"'; ++at) {
      if (*at == '\0') throw std::runtime_error("A string in JSON does not end.");
      if (*at == '\\') ++at;
      found += *at;
    }
    ++at;
    return found;
  }

  Kind kind_ = Kind::kNull;
  double number_ = 0;
  std::string text_;
  std::vector<Json> items_;
  std::map<std::string, Json> members_;
};
