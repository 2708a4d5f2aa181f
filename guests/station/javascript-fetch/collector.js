// A pumping station: two spans of registers from a Modbus device, and one JSON document from a web site.
//
// `../README.md` says what it does, in any language. This one fetches with JavaScript's own `fetch`, which the engine StarlingMonkey
// has, and is asynchronous for that.

import {
  collectionTime, counter32, counter64, decode, emitAll, float, integer, is, log, modbus, scaled, settings, state, text,
} from "pattoo";

const PLACE = { table: is.oneOf("holding-registers", "input-registers"), address: is.integer(0, 0xffff) };
const SETTINGS = {
  device: is.text,
  unit: is.integer(0, 255),
  pump: PLACE,
  meter: PLACE,
  url: is.text,
  site: is.text,
  note: is.optional(is.text, ""),
};
const WEATHER = { temperature: is.number, humidity: is.integer(), rain_total: is.integer(0), name: is.text };

export async function collect() {
  const { device, unit, pump, meter, url, site, note } = settings(SETTINGS);
  const read = modbus.readMany([
    { device, unit, ...pump, count: 4 },
    { device, unit, ...meter, count: 10 },
  ]);
  const described = await weather(url, site);
  const collections = countCollection();

  const time = collectionTime();
  const notes = { note };
  const spans = { pump: valuesOf("pump", read[0], ofPump), meter: valuesOf("meter", read[1], ofMeter) };
  const points = Object.entries(spans).flatMap(([span, values]) =>
    Object.entries(values).map(([key, value]) => ({ key, value, metadata: { unit, span }, notes, time })),
  );
  let taken = emit(device, points);
  taken += emit(site, Object.entries(described).map(([key, value]) => ({ key, value, notes, time })));
  taken += emit("collector", [{ key: "collections", value: integer(collections), time }]);
  log.info(`${taken} datapoints`);
}

/** What a span says, or what its device said instead. */
function valuesOf(name, result, decoded) {
  if (result.status === "fulfilled") return decoded(decode.registers(result.value));
  const { kind, code, exception, message } = result.reason;
  log.warn(`${name}: ${exception ?? message}`);
  return kind === "exception" ? { exception: integer(code) } : {};
}

function ofPump(registers) {
  return {
    level: integer(registers.u16(0)),
    temperature: scaled(registers.i16(1) * 0.1),
    revolutions: counter32(registers.u32(2)),
  };
}

function ofMeter(registers) {
  return {
    power: float(registers.inOrder("CDAB").f32(0)),
    energy: counter64(registers.u64(2)),
    serial: text(registers.text(6, 4)),
  };
}

/** What the site has to say, with a line for the operator if that is little. */
async function weather(url, site) {
  try {
    const response = await fetch(url, { headers: { accept: "application/json" } });
    if (response.status !== 200) {
      log.warn(`${site}: status ${response.status}`);
      return { status: integer(response.status) };
    }
    // The engine's own `json()` fails at a byte order mark.
    const document = (await response.text()).replace(/^\ufeff/, "");
    const { temperature, humidity, rain_total: rain, name } = is.check(JSON.parse(document), WEATHER);
    return {
      outdoor_temperature: float(temperature),
      humidity: integer(humidity),
      rain_total: counter64(rain),
      station_name: text(name),
    };
  } catch (error) {
    log.warn(`${site}: ${error.message}`);
    return {};
  }
}

/** The number of this collection. */
function countCollection() {
  const collections = Number(state.get("collections") ?? 0) + 1;
  state.set("collections", String(collections));
  return collections;
}

/** Emits datapoints; returns how many were taken. */
function emit(target, datapoints) {
  const rejections = emitAll(target, datapoints);
  for (const rejection of rejections) log.warn(`${target}: ${rejection}`);
  return datapoints.length - rejections.length;
}
