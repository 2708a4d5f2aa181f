// `npm test` compiles this and runs it: no WebAssembly is involved.

import assert from "node:assert/strict";
import { test } from "node:test";

import { counter64, float, integer } from "pattoo";
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
};

function station(settings: object = {}): Host {
  const host = new Host({ settings: { ...SETTINGS, ...settings } });
  host
    .modbus("plc1")
    .unit(7)
    .holdingRegisters(10, [1234, 0xfff6, 0x0001, 0x0002])
    .inputRegisters(100, [0xe979, 0x42f6, 0, 0, 0x0001, 0, 0x504d, 0x502d, 0x3700, 0]);
  return host.http(URL, { json: { temperature: -3, humidity: 81, rain_total: 5000, name: "Old Mill" } });
}

test("a whole collection is eleven datapoints", () => {
  const collection = station().collect(collect).throwForError();
  assert.deepEqual(collection.messages(), ["11 datapoints"]);
  assert.deepEqual(collection.value("plc1", "energy"), counter64(65536n));
  assert.deepEqual(collection.value("SITE_A", "outdoor_temperature"), float(-3));
});

test("a part that fails costs only itself", () => {
  const pump = { table: "holding-registers", address: 12 };
  const collection = station({ pump, url: `${URL}x` }).collect(collect);
  assert.deepEqual(collection.value("plc1", "exception"), integer(2));
  assert.deepEqual(collection.messages(), ["SITE_A: status 404", "pump: exception 2 (illegal data address)", "6 datapoints"]);
});

test("a setting that is missing is named", () => {
  assert.equal(station({ unit: undefined }).collect(collect).error, "the setting `unit` is missing");
});
