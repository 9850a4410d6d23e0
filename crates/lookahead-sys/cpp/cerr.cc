// Hands what is written to std::cerr to Rust.

#include <iostream>
#include <streambuf>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {

namespace {

using Write = rust::Fn<void(rust::Slice<const std::uint8_t>)>;
using Flush = rust::Fn<void()>;

class ToRust : public std::streambuf {
 public:
  ToRust(Write write, Flush flush) : write_(write), flush_(flush) {}

 protected:
  int_type overflow(int_type character) override {
    if (!traits_type::eq_int_type(character, traits_type::eof())) {
      const char byte = traits_type::to_char_type(character);
      xsputn(&byte, 1);
    }
    return traits_type::not_eof(character);
  }

  std::streamsize xsputn(const char* text, std::streamsize count) override {
    write_({reinterpret_cast<const std::uint8_t*>(text), static_cast<std::size_t>(count)});
    return count;
  }

  int sync() override {
    flush_();
    return 0;
  }

 private:
  Write write_;
  Flush flush_;
};

}  // namespace

void redirect_cerr(Write write, Flush flush) {
  // Never freed: destructors that run at the end of the program may still print.
  std::cerr.rdbuf(new ToRust(write, flush));
}

}  // namespace lookahead
