// std::cerr, handed to Rust.

#include <iostream>
#include <streambuf>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {

namespace {

class ToRust : public std::streambuf {
 protected:
  int_type overflow(int_type character) override {
    if (!traits_type::eq_int_type(character, traits_type::eof())) {
      const char byte = traits_type::to_char_type(character);
      xsputn(&byte, 1);
    }
    return traits_type::not_eof(character);
  }

  std::streamsize xsputn(const char* text, std::streamsize count) override {
    write_cerr({reinterpret_cast<const std::uint8_t*>(text), static_cast<std::size_t>(count)});
    return count;
  }

  int sync() override {
    flush_cerr();
    return 0;
  }
};

}  // namespace

void redirect_cerr() {
  // Never freed: what is destroyed at the end of the program may still have something to print.
  static ToRust* buffer = new ToRust;
  std::cerr.rdbuf(buffer);
}

}  // namespace lookahead
