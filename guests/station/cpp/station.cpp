// A pumping station: two spans of registers from a Modbus device, and one JSON document from a web site.
//
// ../README.md says what it does, in any language.
#include <charconv>

#include "pattoo.hpp"

using namespace pattoo;

namespace {

struct Settings {
  std::string device, url, site, note;
  std::uint8_t unit;
  Span pump, meter;
};

// A span of the device, which begins where the settings say.
Result<Span> read_span(const Json &settings, const char *key, std::uint16_t count) {
  auto place = TRY(settings.at(key));
  auto table = TRY(place.text("table"));
  Span span{TRY(settings.text("device")), TRY(settings.integer<std::uint8_t>("unit")), PATTOO_HOLDING_REGISTERS,
            TRY(place.integer<std::uint16_t>("address")), count};
  if (table == "input-registers") {
    span.table = PATTOO_INPUT_REGISTERS;
  } else if (table != "holding-registers") {
    return Error{"`table` is holding-registers or input-registers, not " + table};
  }
  return span;
}

Result<Settings> read_settings() {
  auto json = TRY(Json::settings());
  return Settings{
      .device = TRY(json.text("device")),
      .url = TRY(json.text("url")),
      .site = TRY(json.text("site")),
      .note = json.has("note") ? TRY(json.text("note")) : "",
      .unit = TRY(json.integer<std::uint8_t>("unit")),
      .pump = TRY(read_span(json, "pump", 4)),
      .meter = TRY(read_span(json, "meter", 10)),
  };
}

using Points = std::vector<Datapoint>;

Result<Points> decode_pump(const Registers &registers) {
  return Points{
      {"level", std::int64_t{TRY(registers.u16(0))}},
      {"temperature", Scaled{TRY(registers.i16(1)) * 0.1}},
      {"revolutions", Counter32{TRY(registers.u32(2))}},
  };
}

Result<Points> decode_meter(const Registers &registers) {
  return Points{
      {"power", double{TRY(registers.in_order(PATTOO_CDAB).f32(0))}},
      {"energy", Counter64{TRY(registers.u64(2))}},
      {"serial", TRY(registers.text(6, 4))},
  };
}

// What a span gives: its values, or the exception in their place.
Result<Points> points_of(const char *name, const Read &read, Result<Points> (*decode)(const Registers &)) {
  if (auto *words = std::get_if<Words>(&read)) return decode(Registers(*words));
  if (auto *exception = std::get_if<Exception>(&read)) {
    pattoo_log(PATTOO_WARN, "%s: exception %u (%s)", name, exception->code, exception->name());
    return Points{{"exception", std::int64_t{exception->code}}};
  }
  if (auto *error = std::get_if<Error>(&read)) pattoo_log(PATTOO_WARN, "%s: %s", name, error->text.c_str());
  return Points{};
}

Result<Points> read_weather(std::string_view document) {
  auto json = TRY(Json::parse(document));
  return Points{
      {"outdoor_temperature", TRY(json.number("temperature"))},
      {"humidity", TRY(json.integer<std::int64_t>("humidity"))},
      {"rain_total", Counter64{TRY(json.integer<std::uint64_t>("rain_total"))}},
      {"station_name", TRY(json.text("name"))},
  };
}

Result<Points> fetch_weather(const Settings &settings) {
  const Header accept[] = {{"accept", "application/json"}};
  auto response = TRY(get(settings.url, accept));
  if (response.status == 200) return read_weather(response.body);
  pattoo_log(PATTOO_WARN, "%s: status %u", settings.site.c_str(), response.status);
  return Points{{"status", std::int64_t{response.status}}};
}

// The number of this collection.
Result<std::int64_t> count_collection() {
  std::int64_t number = 0;
  if (auto before = kept("collections")) {
    const char *end = before->data() + before->size();
    if (std::from_chars(before->data(), end, number).ptr != end) return Error{"what was kept of collections is no number"};
  }
  TRY(keep("collections", std::to_string(++number)));
  return number;
}

// Emits datapoints as of now, all with this metadata; gives how many were taken.
Result<std::size_t> emit_all(const std::string &target, Points points, const std::vector<Metadatum> &metadata) {
  for (Datapoint &point : points) {
    point.metadata = metadata;
    point.timestamp = pattoo_collection_time();
  }
  auto rejections = TRY(emit(target, points));
  for (const Rejection &one : rejections) {
    pattoo_log(PATTOO_WARN, "%s: %s: %s", target.c_str(), points[one.index].key.c_str(), one.reason.c_str());
  }
  return points.size() - rejections.size();
}

Outcome collect() {
  auto settings = TRY(read_settings());
  const Span spans[] = {settings.pump, settings.meter};
  auto reads = read_many(spans);
  auto weather = fetch_weather(settings);
  auto collections = TRY(count_collection());

  Metadatum note{"note", settings.note, false};
  auto describe = [&](const char *span) -> std::vector<Metadatum> {
    return {{"unit", std::to_string(settings.unit)}, {"span", span}, note};
  };
  auto pump = TRY(points_of("pump", reads[0], decode_pump));
  auto meter = TRY(points_of("meter", reads[1], decode_meter));
  auto taken = TRY(emit_all(settings.device, pump, describe("pump")));
  taken += TRY(emit_all(settings.device, meter, describe("meter")));
  if (weather) {
    taken += TRY(emit_all(settings.site, *weather, {note}));
  } else {
    pattoo_log(PATTOO_WARN, "%s: %s", settings.site.c_str(), weather.error().text.c_str());
  }
  taken += TRY(emit_all("collector", {{"collections", collections}}, {}));
  pattoo_log(PATTOO_INFO, "%zu datapoints", taken);
  return ok;
}

} // namespace

PATTOO_COLLECTOR(collect)
