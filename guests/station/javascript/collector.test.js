// `node --test` runs this: no WebAssembly is involved.

import assert from "node:assert/strict";
import { test } from "node:test";

import { counter32, counter64, float, integer, scaled, text } from "pattoo";
import { Host } from "pattoo/testing";

import { collect } from "./collector.js";

const URL = "http://site-a.example/weather.json";
const SETTINGS = {
  device: "plc1",
  unit: 7,
  pump: { table: "holding-registers", address: 10 },
  meter: { table: "input-registers", address: 100 },
  url: URL,
  site: "SITE_A",
  note: "by the river",
};
const PUMP = [1234, 0xfff6, 0x0001, 0x0002];
const METER = [0xe979, 0x42f6, 0, 0, 0x0001, 0, 0x504d, 0x502d, 0x3700, 0];
const WEATHER = { temperature: -3, humidity: 81, rain_total: 5000, name: "Old Mill" };

function station(settings = {}, more = {}) {
  const host = new Host({ settings: { ...SETTINGS, ...settings }, ...more });
  host.modbus("plc1").unit(7).holdingRegisters(10, PUMP).inputRegisters(100, METER);
  return host.http(URL, { json: WEATHER });
}

test("a whole collection is eleven datapoints", () => {
  const host = station();
  const collection = host.collect(collect).throwForError();
  assert.deepEqual(collection.values(), [
    ["plc1", "level", integer(1234)],
    ["plc1", "temperature", scaled(-1)],
    ["plc1", "revolutions", counter32(65538)],
    ["plc1", "power", float(Math.fround(123.456))],
    ["plc1", "energy", counter64(65536n)],
    ["plc1", "serial", text("PMP-7")],
    ["SITE_A", "outdoor_temperature", float(-3)],
    ["SITE_A", "humidity", integer(81)],
    ["SITE_A", "rain_total", counter64(5000)],
    ["SITE_A", "station_name", text("Old Mill")],
    ["collector", "collections", integer(1)],
  ]);
  assert.deepEqual(collection.messages(), ["11 datapoints"]);
  assert.deepEqual(host.collect(collect).value("collector", "collections"), integer(2));
});

test("a part that fails costs only itself", () => {
  const moved = station({ pump: { table: "holding-registers", address: 12 }, url: `${URL}x` }).collect(collect);
  assert.deepEqual(moved.value("plc1", "exception"), integer(2));
  assert.deepEqual(moved.value("SITE_A", "status"), integer(404));
  assert.deepEqual(moved.messages(), ["SITE_A: status 404", "pump: exception 2 (illegal data address)", "6 datapoints"]);

  const silent = station().http(URL, { error: "timeout" });
  silent.modbus("plc1").fail("timeout");
  assert.deepEqual(silent.collect(collect).values(), [["collector", "collections", integer(1)]]);

  for (const body of ["no JSON", "[]", '{"temperature": 1, "humidity": 1.5, "rain_total": 1, "name": "x"}']) {
    assert.equal(station().http(URL, { body }).collect(collect).throwForError().datapoints.length, 7, body);
  }
});

test("a counter beyond 53 bits costs only itself, and with the other engine nothing", () => {
  const full = (more) => {
    const host = station({}, more);
    host.modbus("plc1").inputRegisters(102, [0xffff, 0xffff, 0xffff, 0xffff]);
    return host.collect(collect).throwForError();
  };
  assert.deepEqual(full().messages().at(-1), "10 datapoints");
  assert.deepEqual(full({ wideIntegers: true }).value("plc1", "energy"), counter64(2n ** 64n - 1n));
});

test("settings that do not fit are named, and nothing is read", () => {
  const changes = Object.keys(SETTINGS).filter((key) => key !== "note").map((key) => [key, { [key]: undefined }]);
  changes.push(["table", { pump: { table: "coils", address: 0 } }], ["unit", { unit: 256 }]);
  changes.push(["address", { meter: { table: "input-registers", address: 65536 } }]);
  for (const [word, change] of changes) {
    const { error, reads, requests } = station(change).collect(collect);
    assert(error.includes(word), error);
    assert.equal(reads.length + requests.length, 0);
  }
});
