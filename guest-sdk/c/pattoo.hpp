// The C SDK with the types of C++20: strings, vectors, variants, and results in place of codes. Exceptions are not used, since
// WebAssembly has none in WASI's C++ library.
//
// A function that can fail returns a Result<T>: the value, or an Error with the reason in words. TRY(expression) is the value, or
// leaves the function with the error:
//
//   pattoo::Outcome collect() {
//     auto settings = TRY(pattoo::Json::settings());
//     auto device = TRY(settings.text("device"));
//     ...
//     return pattoo::ok;
//   }
//   PATTOO_COLLECTOR(collect)
#ifndef PATTOO_HPP
#define PATTOO_HPP

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "pattoo.h"
#include "pattoo_decode.h"
#include "pattoo_json.h"

namespace pattoo {

struct Error {
  std::string text;
};

// What the last function of the C SDK failed with.
inline Error last_error() { return {pattoo_error()}; }

template <class T>
class [[nodiscard]] Result {
  std::variant<T, Error> is;

public:
  Result(T value) : is(std::move(value)) {}
  Result(Error error) : is(std::move(error)) {}

  explicit operator bool() const { return is.index() == 0; }
  T &operator*() & { return *std::get_if<0>(&is); }
  T &&operator*() && { return std::move(*std::get_if<0>(&is)); }
  T *operator->() { return std::get_if<0>(&is); }
  const Error &error() const { return *std::get_if<1>(&is); }
};

// Of what gives nothing but may fail.
using Outcome = Result<std::monostate>;
inline constexpr std::monostate ok;

#define TRY(expression) \
  ({ \
    auto tried = (expression); \
    if (!tried) return ::pattoo::Error(tried.error()); \
    *std::move(tried); \
  })

// Makes a function the one that the host calls for each collection.
#define PATTOO_COLLECTOR(collect) \
  extern "C" pattoo_result pattoo_collect(void) { \
    ::pattoo::Outcome end = collect(); \
    return end ? PATTOO_OK : pattoo_fail("%s", end.error().text.c_str()); \
  }

// ---- Measurements

struct Scaled {
  double number; // was whole before a multiplier was applied: register 235 x 0.1 = 23.5
};
struct Counter32 {
  std::uint32_t count; // only grows and wraps at 2^32
};
struct Counter64 {
  std::uint64_t count;
};
// The alternative chooses pattoo's data type: int64_t is an integer, double a float.
using Value = std::variant<std::int64_t, Scaled, double, Counter32, Counter64, std::string>;

struct Metadatum {
  std::string key, value;
  bool identifying = true; // whether another value is another series in pattoo
};

struct Datapoint {
  std::string key;
  Value value;
  std::vector<Metadatum> metadata = {};
  std::optional<std::uint64_t> timestamp = {}; // Unix milliseconds; without one, the moment in which it is emitted
};

struct Rejection {
  std::size_t index; // its place among those that were emitted together
  std::string reason;
};

// Emits datapoints of one target: the device, site or thing that was measured. One that is refused costs no other, and is among
// those returned; the host logs it in any case.
inline Result<std::vector<Rejection>> emit(const std::string &target, std::span<const Datapoint> points) {
  struct ToC {
    pattoo_value operator()(std::int64_t integer) const { return pattoo_integer(integer); }
    pattoo_value operator()(Scaled scaled) const { return pattoo_scaled(scaled.number); }
    pattoo_value operator()(double number) const { return pattoo_float(number); }
    pattoo_value operator()(Counter32 counter) const { return pattoo_counter32(counter.count); }
    pattoo_value operator()(Counter64 counter) const { return pattoo_counter64(counter.count); }
    pattoo_value operator()(const std::string &text) const { return pattoo_text(text.c_str()); }
  };
  std::vector<std::vector<pattoo_metadatum>> metadata;
  std::vector<pattoo_datapoint> given;
  for (const Datapoint &point : points) {
    auto &of_point = metadata.emplace_back();
    for (const Metadatum &one : point.metadata) {
      of_point.push_back({one.key.c_str(), one.value.c_str(), one.identifying});
    }
    given.push_back({point.key.c_str(), std::visit(ToC{}, point.value), point.timestamp.value_or(0), of_point.data(),
                     of_point.size()});
  }
  pattoo_rejections refused;
  if (pattoo_emit(target.c_str(), given.data(), given.size(), &refused) != PATTOO_OK) return last_error();
  std::vector<Rejection> rejections;
  for (const pattoo_rejection &one : std::span(refused.items, refused.count)) rejections.push_back({one.index, one.reason});
  return rejections;
}

// ---- Modbus

// One stretch of one table. Addresses are those of the wire, from 0; without a unit it is the default one of the grant.
struct Span {
  std::string device;
  std::optional<std::uint8_t> unit;
  pattoo_table table;
  std::uint16_t address, count;
};

using Words = std::vector<std::uint16_t>;
using Bits = std::vector<bool>;
struct Exception {
  std::uint8_t code; // the device itself said no
  const char *name() const { return pattoo_exception_name(code); }
};
// What became of a span.
using Read = std::variant<Words, Bits, Exception, Error>;

// Reads many spans at once, each result in its place. What fails costs only itself.
inline std::vector<Read> read_many(std::span<const Span> spans) {
  std::vector<pattoo_span> asked;
  for (const Span &span : spans) {
    pattoo_span one{};
    one.device = span.device.c_str();
    one.unit = span.unit ? *span.unit : PATTOO_DEFAULT_UNIT;
    one.table = span.table;
    one.address = span.address;
    one.count = span.count;
    asked.push_back(one);
  }
  pattoo_read_many(asked.data(), asked.size());
  std::vector<Read> reads;
  for (const pattoo_span &span : asked) {
    if (span.result == PATTOO_EXCEPTION) {
      reads.emplace_back(Exception{span.exception});
    } else if (span.result != PATTOO_OK) {
      reads.emplace_back(Error{span.error});
    } else if (span.registers != nullptr) {
      reads.emplace_back(Words(span.registers, span.registers + span.count));
    } else {
      reads.emplace_back(Bits(span.bits, span.bits + span.count));
    }
  }
  return reads;
}

// Registers that were read, and the order of their device; each function takes the place of a value's first register.
class Registers {
  pattoo_registers registers;

  template <class T>
  Result<T> decoded(pattoo_result (*decode)(pattoo_registers, std::size_t, T *), std::size_t place) const {
    T value;
    if (decode(registers, place, &value) != PATTOO_OK) return last_error();
    return value;
  }

public:
  explicit Registers(const Words &words, pattoo_order order = PATTOO_ABCD) : registers{words.data(), words.size(), order} {}

  Registers in_order(pattoo_order order) const {
    Registers other = *this;
    other.registers.order = order;
    return other;
  }

  auto u16(std::size_t place) const { return decoded(pattoo_decode_u16, place); }
  auto i16(std::size_t place) const { return decoded(pattoo_decode_i16, place); }
  auto u32(std::size_t place) const { return decoded(pattoo_decode_u32, place); }
  auto i32(std::size_t place) const { return decoded(pattoo_decode_i32, place); }
  auto u64(std::size_t place) const { return decoded(pattoo_decode_u64, place); }
  auto i64(std::size_t place) const { return decoded(pattoo_decode_i64, place); }
  auto f16(std::size_t place) const { return decoded(pattoo_decode_f16, place); }
  auto f32(std::size_t place) const { return decoded(pattoo_decode_f32, place); }
  auto f64(std::size_t place) const { return decoded(pattoo_decode_f64, place); }
  auto bcd16(std::size_t place) const { return decoded(pattoo_decode_bcd16, place); }
  auto bcd32(std::size_t place) const { return decoded(pattoo_decode_bcd32, place); }
  auto bcd64(std::size_t place) const { return decoded(pattoo_decode_bcd64, place); }

  Result<std::string> text(std::size_t place, std::size_t count) const {
    const char *text;
    if (pattoo_decode_text(registers, place, count, &text) != PATTOO_OK) return last_error();
    return std::string(text);
  }
};

// ---- HTTP

struct Header {
  std::string name, value;
};

// Every status is a response, 404 and 500 too.
struct Response {
  std::uint16_t status;
  std::string_view body; // until the end of the collection
};

inline Result<Response> get(const std::string &url, std::span<const Header> headers = {}) {
  std::vector<pattoo_header> given;
  for (const Header &header : headers) given.push_back({header.name.c_str(), header.value.c_str()});
  pattoo_request request{};
  request.url = url.c_str();
  request.headers = given.data();
  request.header_count = given.size();
  pattoo_response response;
  if (pattoo_fetch(&request, &response) != PATTOO_OK) return last_error();
  return Response{response.status, {response.body, response.body_size}};
}

// ---- JSON

// An object; errors name the key.
class Json {
  const cJSON *object;

  explicit Json(const cJSON *object) : object(object) {}

public:
  static Result<Json> settings() {
    const cJSON *object;
    if (pattoo_json_settings(&object) != PATTOO_OK) return last_error();
    return Json(object);
  }

  static Result<Json> parse(std::string_view text) {
    const cJSON *object;
    if (pattoo_json_parse(text.data(), text.size(), &object) != PATTOO_OK) return last_error();
    return Json(object);
  }

  bool has(const char *key) const { return pattoo_json_has(object, key); }

  Result<std::string> text(const char *key) const {
    const char *text;
    if (pattoo_json_text(object, key, &text) != PATTOO_OK) return last_error();
    return std::string(text);
  }

  Result<double> number(const char *key) const {
    double number;
    if (pattoo_json_number(object, key, &number) != PATTOO_OK) return last_error();
    return number;
  }

  // A whole number that the type holds, exact up to 2^53.
  template <std::integral T>
  Result<T> integer(const char *key) const {
    using Limits = std::numeric_limits<T>;
    std::int64_t highest = sizeof(T) < 8 ? static_cast<std::int64_t>(Limits::max()) : INT64_MAX;
    std::int64_t integer;
    if (pattoo_json_integer(object, key, static_cast<std::int64_t>(Limits::min()), highest, &integer) != PATTOO_OK) {
      return last_error();
    }
    return static_cast<T>(integer);
  }

  Result<Json> at(const char *key) const {
    const cJSON *member;
    if (pattoo_json_object(object, key, &member) != PATTOO_OK) return last_error();
    return Json(member);
  }
};

// ---- State

// What an earlier collection left under a key.
inline std::optional<std::string> kept(const char *key) {
  std::size_t size;
  const char *bytes = pattoo_state_get(key, &size);
  if (bytes == nullptr) return std::nullopt;
  return std::string(bytes, size);
}

// Leaves something for the next collection, if this one ends well.
inline Outcome keep(const char *key, std::string_view value) {
  if (pattoo_state_set(key, value.data(), value.size()) != PATTOO_OK) return last_error();
  return ok;
}

} // namespace pattoo

#endif
