import assert from "node:assert/strict";
import { test } from "node:test";

import { float, integer } from "pattoo";
import { Host } from "pattoo/testing";

import { collect } from "./collector.js";

test("collections are counted from one to the next", () => {
  const host = new Host();
  for (const wanted of [1, 2]) {
    const collection = host.collect(collect).throwForError();
    assert.deepEqual(collection.value("{{name}}", "collections"), integer(wanted));
  }
});

test("the temperature of the device is emitted", () => {
  const host = new Host({ settings: { device: "plc1" } });
  host.modbus("plc1").holdingRegisters(0, [0x41ac, 0x0000]);
  const collection = host.collect(collect).throwForError();
  assert.deepEqual(collection.value("plc1", "temperature"), float(21.5));
});

test("a device that is silent is an error for the operator", () => {
  const host = new Host({ settings: { device: "plc1" } });
  host.modbus("plc1").fail("timeout");
  assert.match(host.collect(collect).error ?? "", /the device did not answer in time/);
});
