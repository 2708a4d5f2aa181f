// Collectors under the host for tests, which follows the rules of the runtime.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  EmitError, PattooError, clock, collectionTime, counter32, counter64, emit, emitAll, float, http, integer, is, log, modbus,
  pollingInterval, program, scaled, settings, state, text,
} from "pattoo";
import { Host } from "pattoo/testing";

test("the type of a value is what was said", () => {
  const values = [integer(7), integer(-(2n ** 53n) + 1n), scaled(23.5), float(1.5), counter32(2 ** 32 - 1), counter64(2 ** 53 - 1), text("t")];
  const collection = new Host().collect(() => values.forEach((value, place) => emit("plc1", `k${place}`, value))).throwForError();
  assert.deepEqual(collection.values().map(([, , value]) => value), values);
  const short = new Host().collect(() => (emit("x", "a", "t"), emit("x", "b", 5n)));
  assert.deepEqual([short.value("x", "a"), short.value("x", "b")], [text("t"), integer(5n)]);
});

test("a number that is not said to be whole or not is the author's mistake", () => {
  for (const value of [1, 1.5, null, undefined, true, { type: "int", value: 1 }]) {
    assert(new Host().collect(() => emit("x", "a", value)).thrown instanceof TypeError, String(value));
  }
});

test("what is refused costs no other and has its place", () => {
  const points = [
    { key: "A ", value: integer(1) },
    { key: "a", value: integer(2) },
    { key: "big", value: integer(2 ** 53) },
    { key: "wide", value: counter64(2n ** 53n) },
    { key: "small", value: counter32(-1) },
    { key: "part", value: integer(1.5) },
    { key: "pattoo_key", value: integer(1) },
    { key: "nan", value: float(NaN) },
    { key: "scaled", value: scaled(1e30) },
    { key: "late", value: integer(1), time: new Date("2030-01-01") },
    { key: "early", value: integer(1), time: 1 },
    { key: "meta", value: integer(1), metadata: { "": 1 } },
    { key: "b", value: integer(1), metadata: { "Unit ": 7 }, notes: { unit: "other", note: " x " }, time: new Date("2020-01-01") },
  ];
  let found;
  const collection = new Host().collect(() => void (found = emitAll("plc1", points))).throwForError();
  const kinds = ["duplicate", "value", "value", "value", "value", "key", "value", "value", "timestamp", "timestamp", "metadata"];
  assert.deepEqual(found.map(({ index, kind }) => [index, kind]), kinds.map((kind, place) => [place + 1, kind]));
  assert.equal(String(found[0]), `datapoint "a" was refused: ${found[0].reason}`);
  assert.deepEqual(collection.datapoints[1], {
    target: "plc1", key: "b", value: integer(1), metadata: { unit: "7" }, notes: { note: "x" }, time: Date.UTC(2020, 0),
  });
});

test("an engine with integers of 64 bits takes them, and no more", () => {
  const host = new Host({ wideIntegers: true });
  const edges = [integer(2n ** 63n - 1n), integer(-(2n ** 63n)), counter64(2n ** 64n - 1n), integer(2n ** 63n), counter64(2n ** 64n), counter64(-1n)];
  let found;
  host.collect(() => void (found = emitAll("x", edges.map((value, place) => ({ key: `k${place}`, value }))))).throwForError();
  assert.deepEqual(found.map(({ index }) => index), [3, 4, 5]);
});

test("one that is refused alone is thrown", () => {
  const { error, thrown } = new Host().collect(() => emit("plc1", "pattoo", integer(1)));
  assert(thrown instanceof EmitError && thrown instanceof PattooError);
  assert.match(error, /target "plc1": datapoint "pattoo" was refused/);
  assert.match(new Host().collect(() => emit("", "a", integer(1))).error, /1 to 512 bytes/);
});

test("a device answers what it was told", () => {
  const host = new Host();
  const plc = host.modbus("plc1");
  plc.unit(1).holdingRegisters(0, [1, 2, 3]).coils(16, [true, false]);
  plc.unit(7).inputRegisters(0, Array(10).fill(9)).exception("input-registers", 5, 4);
  plc.unit(8).fail("timeout");
  const span = (table, address, count, unit, device = "plc1") => ({ device, unit, table, address, count });
  const read = [];
  host.collect(() => {
    read.push(modbus.device("plc1").holdingRegisters(1, 2), modbus.device("plc1").coils(16, 2));
    const spans = [
      span("holding-registers", 2, 2), span("input-registers", 0, 5, 7), span("input-registers", 0, 6, 7), span("coils", 0, 1, 8),
      span("coils", 0, 1, 9), span("coils", 0, 1, undefined, "plc2"), span("coils", 0, 0), span("coils", -1, 1), span("coils", 0, 1, 256),
    ];
    read.push(...modbus.readMany(spans).map((result) => result.value ?? result.reason));
    assert.deepEqual(modbus.devices(), [{ name: "plc1", units: [1, 7, 8] }]);
    assert.throws(() => modbus.readMany([span("registers", 0, 1)]), TypeError);
  }).throwForError();
  assert.deepEqual([read[0], read[1], read[3]], [[2, 3], [true, false], [9, 9, 9, 9, 9]]);
  assert.deepEqual([read[2].code, read[2].exception, read[4].code], [2, "exception 2 (illegal data address)", 4]);
  assert.equal(read[4].message, "plc1, unit 7, 6 input registers from address 0: the device answered exception 4 (server device failure)");
  assert.deepEqual(read.slice(5).map(({ kind }) => kind), ["timeout", "denied", "unknown-device", "invalid", "invalid", "invalid"]);
});

test("a site answers what it was told", () => {
  const host = new Host();
  host.http("http://Site-A.example/abc.json", { json: [1.5] }).http("http://site-b.example/x", { error: "timeout" });
  let results;
  const { requests } = host.collect(() => {
    assert.deepEqual(http.get("http://Site-A.example/abc.json", { headers: { accept: "x" } }).throwForStatus().json(), [1.5]);
    const urls = ["http://site-a.example:80/else", "http://site-b.example/x", "https://site-a.example/abc.json", "site-a", "http:///"];
    results = http.fetchAll(urls).map(({ value, reason }) => value?.status ?? reason.kind);
  }).throwForError();
  assert.deepEqual(results, [404, "timeout", "denied", "invalid", "invalid"]);
  assert.deepEqual(requests[0].headers, { accept: "x" });
});

test("what is not wanted is thrown with the name of the request", () => {
  const host = new Host().http("http://a.example/x", { body: "no JSON", status: 500 }).http("http://a.example/y", { json: [{}] });
  const error = (call) => host.collect(call).error;
  assert.equal(error(() => http.get("http://a.example/x").throwForStatus()), "GET http://a.example/x: the site answered 500");
  assert.match(error(() => http.post("http://a.example/x").json()), /^POST .*: the response is not JSON: /);
  assert.equal(error(() => http.get("http://a.example/y").json({})), "GET http://a.example/y: the response is [{}], and must be an object");
  assert.equal(
    error(() => http.get("http://a.example/y").json(is.listOf({ name: is.text }))),
    "GET http://a.example/y: `[0].name` in the response is missing",
  );
});

test("a byte order mark before JSON is skipped", () => {
  const host = new Host().http("http://a.example/x", { body: "\ufeff[1.5]" });
  host.collect(() => assert.deepEqual(http.get("http://a.example/x").json(), [1.5])).throwForError();
});

test("JSON is posted as such", () => {
  const host = new Host().http("http://a.example/x");
  const [request] = host.collect(() => http.post("http://a.example/x", { json: { a: 1 }, timeout: 0.1 })).requests;
  assert.deepEqual([request.method, new TextDecoder().decode(request.body)], ["POST", '{"a":1}']);
  assert.deepEqual([request.headers, request.timeout], [{ "content-type": "application/json" }, 1]);
});

test("the engine's own fetch finds the same sites", async () => {
  const host = new Host().http("http://a.example/x", { json: { a: 1 } });
  const { fetch } = globalThis;
  const collection = await host.collect(async () => {
    assert.deepEqual(await (await globalThis.fetch("http://a.example/x", { headers: { accept: "x" } })).json(), { a: 1 });
    assert.equal((await globalThis.fetch("http://a.example/y")).status, 404);
    await assert.rejects(globalThis.fetch("http://b.example/"), TypeError);
    emit("x", "after", integer(1));
  });
  collection.throwForError();
  assert.equal(collection.requests[0].headers.accept, "x");
  assert.deepEqual(collection.values(), [["x", "after", integer(1)]]);
  assert.equal(globalThis.fetch, fetch);
});

const SHAPE = {
  unit: is.integer(0, 255),
  order: is.oneOf("ABCD", "CDAB"),
  lines: is.listOf({ name: is.text, length: is.number }),
  note: is.optional(is.text, ""),
  on: is.optional(is.boolean),
};
const GOOD = { unit: 7, order: "CDAB", lines: [{ name: "a", length: 1 }] };

test("settings that fit are given back, and others are not", () => {
  new Host({ settings: { ...GOOD, extra: 1 } }).collect(() => {
    assert.deepEqual(settings(SHAPE), { ...GOOD, note: "", on: undefined });
    assert.equal(settings().extra, 1);
  }).throwForError();
});

test("a setting that does not fit is named", () => {
  for (const [change, error] of [
    [{ unit: undefined }, "the setting `unit` is missing"],
    [{ unit: "7" }, 'the setting `unit` is "7", and must be a whole number between 0 and 255'],
    [{ unit: 256 }, "the setting `unit` is 256, and must be a whole number between 0 and 255"],
    [{ order: "X" }, 'the setting `order` is "X", and must be one of `ABCD`, `CDAB`'],
    [{ lines: [{ name: "a" }] }, "the setting `lines[0].length` is missing"],
    [{ lines: {} }, "the setting `lines` is {}, and must be a list"],
    [{ on: 1 }, "the setting `on` is 1, and must be true or false"],
  ]) {
    assert.equal(new Host({ settings: { ...GOOD, ...change } }).collect(() => settings(SHAPE)).error, error);
  }
});

test("a setting that is misspelt is named if asked to", () => {
  const strictly = (given) => new Host({ settings: given }).collect(() => settings({ device: is.text }, { strict: true })).error;
  assert.equal(strictly({ device: "plc1" }), undefined);
  assert.equal(strictly({ device: "plc1", uint: 7 }), "there is no setting `uint`; there are: device");
});

test("state is kept only after a good end", () => {
  const host = new Host({ state: { n: "1" } });
  const collect = () => {
    state.set("n", String(Number(state.get("n")) + 1));
    state.set("gone", new Uint8Array([1]));
    state.remove("gone");
    assert.deepEqual([state.keys(), state.getBytes("gone")], [["n"], undefined]);
    if (state.get("n") === "3") throw new Error("three");
  };
  assert.deepEqual([1, 2, 3].map(() => host.collect(collect).error), [undefined, "three", "three"]);
  assert.deepEqual([...host.state.keys()], ["n"]);
  for (const [key, value, kind] of [["", "", "invalid"], ["k".repeat(256), "", "invalid"], ["k", "x".repeat(1 << 20), "quota"]]) {
    assert.equal(new Host().collect(() => state.set(key, value)).thrown.kind, kind);
  }
});

test("a foreign error tells what it is and what caused it", () => {
  const error = (thrown) => new Host().collect(() => { throw thrown; }).error;
  assert.equal(error(new RangeError("too far")), "RangeError: too far");
  assert.equal(error(new Error("outer", { cause: new TypeError("inner") })), "outer: TypeError: inner");
  assert.equal(error("text"), "text");
});

test("log lines arrive with their level, several arguments as one line", () => {
  const collection = new Host().collect(() => {
    log.info("n", 1, { a: 2n }, [true], null, undefined);
    log.warn(new RangeError("far"));
    log.debug("unseen");
  });
  assert.deepEqual(collection.messages(), ['n 1 {"a":"2n"} [true] null undefined', "RangeError: far"]);
  assert.deepEqual(collection.logs.map(({ level }) => level), ["info", "warn", "debug"]);
});

test("who and when is what the test says", () => {
  new Host({ program: "P", pollingInterval: 60, collectionTime: 5000 }).collect(() => {
    assert.deepEqual([program(), pollingInterval(), collectionTime()], ["P", 60, 5000]);
    assert(clock.monotonic() < clock.monotonic() && clock.now() > 5000);
  }).throwForError();
});

test("outside of a collection there is no host", () => {
  assert.throws(() => settings(), /there is no host/);
});
