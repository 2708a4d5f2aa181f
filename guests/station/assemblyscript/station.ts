// A pumping station: two spans of registers from a Modbus device, and one JSON document from a web site.
//
// ../README.md says what it does, in any language.
import * as pattoo from "./pattoo";
import { Datapoint, Header, Level, Metadatum, Read, Span, Table, Value } from "./pattoo";
import { Json, Kind } from "./json";

export { cabi_realloc } from "./pattoo";

export function collect(): usize {
  return pattoo.outcome(run());
}

class Settings {
  device: string = "";
  unit: u8 = 0;
  pump: Span | null = null;
  meter: Span | null = null;
  url: string = "";
  site: string = "";
  note: string = "";
}

function readSettings(): Settings | null {
  const object = Json.parse(pattoo.settings());
  if (object === null) {
    pattoo.fail("the settings are not JSON");
    return null;
  }
  const settings = new Settings(), device = text(object, "device"), unit = integer(object, "unit", 0, 255);
  const url = text(object, "url"), site = text(object, "site");
  if (missing !== null) return fits();
  settings.device = device;
  settings.unit = <u8>unit;
  settings.url = url;
  settings.site = site;
  if (object.get("note") !== null) settings.note = text(object, "note");
  settings.pump = span(object, "pump", settings, 4);
  settings.meter = span(object, "meter", settings, 10);
  return missing === null ? settings : fits();
}

/** The failure that the first key gave that did not fit. */
function fits(): Settings | null {
  pattoo.fail(missing!);
  return null;
}

/** A span of the device, which begins where the settings say. */
function span(object: Json, key: string, settings: Settings, count: u16): Span | null {
  const place = object.get(key);
  if (place === null || place.kind != Kind.Object) {
    complain(`\`${key}\` is not an object`);
    return null;
  }
  const table = text(place, "table"), address = <u16>integer(place, "address", 0, 65535);
  const isHolding = table == "holding-registers";
  if (!isHolding && table != "input-registers") complain(`\`table\` of \`${key}\` is neither holding-registers nor input-registers`);
  return new Span(settings.device, settings.unit, isHolding ? Table.HoldingRegisters : Table.InputRegisters, address, count);
}

function run(): bool {
  const settings = readSettings();
  if (settings === null) return false;
  const reads = pattoo.readMany([settings.pump!, settings.meter!]);
  const weather = fetchWeather(settings);
  const collections = count();
  if (collections < 0) return false;

  let taken = 0;
  const note = new Metadatum("note", settings.note, false);
  for (let i = 0; i < 2; i++) {
    const name = i == 0 ? "pump" : "meter";
    const metadata = [new Metadatum("unit", settings.unit.toString()), new Metadatum("span", name), note];
    const emitted = emit(settings.device, pointsOf(name, reads[i]), metadata);
    if (emitted < 0) return false;
    taken += emitted;
  }
  const ofSite = emit(settings.site, weather, [note]);
  const ofCollector = emit("collector", [new Datapoint("collections", Value.integer(collections))], []);
  if (ofSite < 0 || ofCollector < 0) return false;
  pattoo.log(Level.Info, `${taken + ofSite + ofCollector} datapoints`);
  return true;
}

/** What a span gives: its values, or the exception in their place. */
function pointsOf(name: string, read: Read): Datapoint[] {
  if (read.isWell) return name == "pump" ? decodePump(read.registers) : decodeMeter(read.registers);
  if (read.exception == 0) {
    pattoo.log(Level.Warn, `${name}: ${read.failure}`);
    return [];
  }
  pattoo.log(Level.Warn, `${name}: exception ${read.exception} (${pattoo.exceptionName(read.exception)})`);
  return [new Datapoint("exception", Value.integer(read.exception))];
}

function decodePump(registers: u16[]): Datapoint[] {
  return [
    new Datapoint("level", Value.integer(registers[0])),
    new Datapoint("temperature", Value.scaled(<f64>(<i16>registers[1]) * 0.1)),
    new Datapoint("revolutions", Value.counter32(<u32>join(registers, 2, 2))),
  ];
}

function decodeMeter(registers: u16[]): Datapoint[] {
  const swapped = <u32>registers[1] << 16 | registers[0];
  return [
    new Datapoint("power", Value.float(reinterpret<f32>(swapped))),
    new Datapoint("energy", Value.counter64(join(registers, 2, 4))),
    new Datapoint("serial", Value.text(ascii(registers, 6, 4))),
  ];
}

/** Registers as one number, the most significant first. */
function join(registers: u16[], place: i32, count: i32): u64 {
  let number: u64 = 0;
  for (let i = place; i < place + count; i++) number = number << 16 | registers[i];
  return number;
}

/** Two ASCII characters a register, up to the first NUL and without spaces around them. */
function ascii(registers: u16[], place: i32, count: i32): string {
  let text = "";
  for (let i = place; i < place + count; i++) {
    text += String.fromCharCode(registers[i] >> 8) + String.fromCharCode(registers[i] & 0xFF);
  }
  const end = text.indexOf("\0");
  return (end < 0 ? text : text.substring(0, end)).trim();
}

/** What the site has to say, with a line for the operator if that is little. */
function fetchWeather(settings: Settings): Datapoint[] {
  const response = pattoo.get(settings.url, [new Header("accept", "application/json")]);
  if (response === null) return warned(settings.site, pattoo.failure);
  if (response.status != 200) {
    pattoo.log(Level.Warn, `${settings.site}: status ${response.status}`);
    return [new Datapoint("status", Value.integer(response.status))];
  }
  const document = Json.parse(response.text);
  if (document === null) return warned(settings.site, "the document is not JSON");
  const points = [
    new Datapoint("outdoor_temperature", Value.float(number(document, "temperature"))),
    new Datapoint("humidity", Value.integer(integer(document, "humidity", -MOST, MOST))),
    new Datapoint("rain_total", Value.counter64(integer(document, "rain_total", 0, MOST))),
    new Datapoint("station_name", Value.text(text(document, "name"))),
  ];
  return missing === null ? points : warned(settings.site, missing!);
}

function warned(site: string, why: string): Datapoint[] {
  pattoo.log(Level.Warn, `${site}: ${why}`);
  return [];
}

/** The number of this collection; -1 if it cannot be told. */
function count(): i64 {
  const before = pattoo.kept("collections");
  if (before !== null && !isDecimal(before)) {
    pattoo.fail(`what was kept of collections is no number: ${before}`);
    return -1;
  }
  const number = (before === null ? 0 : I64.parseInt(before)) + 1;
  return pattoo.keep("collections", number.toString()) ? number : -1;
}

function isDecimal(text: string): bool {
  const number = Json.parse(text);
  return number !== null && number.isWhole && text.length < 19;
}

/** Emits datapoints as of now, all with this metadata; returns how many were taken, -1 if none could be. */
function emit(target: string, points: Datapoint[], metadata: Metadatum[]): i32 {
  for (let i = 0; i < points.length; i++) {
    points[i].metadata = metadata;
    points[i].timestamp = pattoo.collectionTime();
  }
  const rejections = pattoo.emit(target, points);
  if (rejections === null) return -1;
  for (let i = 0; i < rejections.length; i++) {
    pattoo.log(Level.Warn, `${target}: ${points[rejections[i].index].key}: ${rejections[i].reason}`);
  }
  return points.length - rejections.length;
}

// ---- JSON. What does not fit is remembered with its key, and a value that fits is returned in its place.

let missing: string | null = null;

function complain(why: string): void {
  if (missing === null) missing = why;
}

/** Whole numbers below 2^53, which every reader of JSON keeps. */
const MOST: i64 = 9007199254740991;

function text(object: Json, key: string): string {
  const member = object.get(key);
  if (member !== null && member.kind == Kind.String) return member.text;
  complain(`\`${key}\` is missing or not a text`);
  return "";
}

function number(object: Json, key: string): f64 {
  const member = object.get(key);
  if (member !== null && member.kind == Kind.Number) return F64.parseFloat(member.text);
  complain(`\`${key}\` is missing or not a number`);
  return 0;
}

function integer(object: Json, key: string, lowest: i64, highest: i64): i64 {
  const member = object.get(key);
  if (member !== null && member.isWhole && member.text.length < 19) {
    const whole = I64.parseInt(member.text);
    if (whole >= lowest && whole <= highest) return whole;
  }
  complain(`\`${key}\` is missing or not a whole number from ${lowest} to ${highest}`);
  return lowest;
}
