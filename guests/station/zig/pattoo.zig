//! The contract of pattoo-wasm for Zig: its functions as the canonical ABI has them, and a thin layer that makes slices, errors
//! and tagged unions of them. Copy this file beside your collector.
//!
//! What is allocated stays until the end of the collection: the instance is dropped as a whole, and nothing is freed.
//!
//! A function that can fail returns `error.Failed`, and `failure()` has the reason in words.

const std = @import("std");
const wasm = @import("builtin").target.cpu.arch.isWasm();

pub const Error = error{Failed};

/// Makes a function the one that the host calls for each collection: `comptime { pattoo.collector(collect); }`. In a test, which is
/// a program of this machine, it does nothing.
pub fn collector(comptime collect: fn () Error!void) void {
    if (!wasm) return;
    const Exported = struct {
        /// `result<_, string>`.
        const Outcome = extern struct { failed: u8 = 0, message: Text = .of("") };
        var outcome: Outcome = .{};

        fn run() callconv(.c) *const Outcome {
            collect() catch {
                outcome = .{ .failed = 1, .message = .of(failure()) };
            };
            return &outcome;
        }
    };
    @export(&Exported.run, .{ .name = "collect" });
}

// ---- Memory, errors, texts

/// Lasts until the end of the collection.
pub const allocator: std.mem.Allocator = if (wasm) std.heap.wasm_allocator else std.heap.page_allocator;

fn alloc(comptime T: type, count: usize) []T {
    const room = allocator.alloc(T, @max(count, 1)) catch @panic("out of memory");
    return room[0..count];
}

/// Where the host puts what it returns.
export fn cabi_realloc(old: ?[*]u8, old_size: usize, alignment: usize, size: usize) [*]u8 {
    _ = alignment; // 8 at most
    // Of nothing it would be an address beyond the memory.
    const fresh: []align(8) u8 = allocator.alignedAlloc(u8, .@"8", @max(size, 1)) catch @panic("out of memory");
    if (old) |bytes| @memcpy(fresh[0..@min(old_size, size)], bytes[0..@min(old_size, size)]);
    return fresh.ptr;
}

var last_failure: []const u8 = "";

/// Why the last function failed that did.
pub fn failure() []const u8 {
    return last_failure;
}

/// Sets that text: `return pattoo.fail("{s} has no price", .{site});`.
pub fn fail(comptime text: []const u8, arguments: anytype) Error {
    last_failure = format(text, arguments);
    return error.Failed;
}

pub fn format(comptime text: []const u8, arguments: anytype) []const u8 {
    return std.fmt.allocPrint(allocator, text, arguments) catch @panic("out of memory");
}

/// A string, or a list of bytes.
const Text = extern struct {
    bytes: [*]const u8,
    length: usize,

    /// The host wants an address within the memory, even of nothing.
    fn of(slice: []const u8) Text {
        return .{ .bytes = if (slice.len > 0) slice.ptr else "", .length = slice.len };
    }

    fn get(text: Text) []const u8 {
        return text.bytes[0..text.length];
    }
};

/// A list of anything else.
fn List(comptime T: type) type {
    return extern struct {
        const Self = @This();
        items: [*]const T,
        count: usize,

        fn of(slice: []const T) Self {
            return .{ .items = if (slice.len > 0) slice.ptr else @ptrFromInt(@alignOf(T)), .count = slice.len };
        }

        fn get(list: Self) []const T {
            return list.items[0..list.count];
        }
    };
}

// ---- Who this collector is, the log

const agent = struct {
    extern "pattoo:agent/agent@0.1.0" fn settings(result: *Text) void;
    extern "pattoo:agent/agent@0.1.0" fn @"collection-time"() u64;
};

/// What the operator set: a JSON object.
pub fn settings() []const u8 {
    var result: Text = undefined;
    agent.settings(&result);
    return result.get();
}

/// Unix milliseconds; does not change during a collection.
pub fn collectionTime() u64 {
    return agent.@"collection-time"();
}

pub const Level = enum(i32) { trace, debug, info, warn, err };

const host_log = struct {
    extern "pattoo:agent/log@0.1.0" fn log(level: i32, message: [*]const u8, length: usize) void;
};

pub fn log(level: Level, comptime text: []const u8, arguments: anytype) void {
    const message = format(text, arguments);
    const given: Text = .of(message);
    host_log.log(@intFromEnum(level), given.bytes, given.length);
}

// ---- Measurements

/// A measured value; the case chooses pattoo's data type.
pub const Value = union(enum) {
    integer: i64,
    /// Was whole before a multiplier was applied: register 235 x 0.1 = 23.5.
    scaled: f64,
    float: f64,
    /// Only grows, and wraps at 2^32.
    counter32: u32,
    counter64: u64,
    text: []const u8,
};

pub const Metadatum = struct {
    key: []const u8,
    value: []const u8,
    /// Whether another value is another series in pattoo.
    identifying: bool = true,
};

pub const Datapoint = struct {
    key: []const u8,
    value: Value,
    /// Unix milliseconds; `null` stands for the moment in which it is emitted.
    timestamp: ?u64 = null,
    metadata: []const Metadatum = &.{},
};

/// A datapoint that was refused.
pub const Rejection = struct {
    /// Its place among those that were emitted together.
    index: usize,
    reason: []const u8,
};

const datapoints = struct {
    const RawMetadatum = extern struct { key: Text, value: Text, identifying: bool };
    const RawDatapoint = extern struct {
        key: Text,
        value: extern struct {
            tag: u8,
            as: extern union { integer: i64, number: f64, counter32: u32, counter64: u64, text: Text },
        },
        timestamp: extern struct { some: bool, milliseconds: u64 },
        metadata: List(RawMetadatum),
    };
    const Reason = extern struct { tag: u8, text: Text };
    const RawRejection = extern struct { index: u32, reason: Reason };
    const Emitted = extern struct { failed: bool, as: extern union { rejections: List(RawRejection), fault: Reason } };

    extern "pattoo:agent/datapoints@0.1.0" fn emit(target: [*]const u8, length: usize, points: [*]const RawDatapoint, count: usize, result: *Emitted) void;

    fn raw(point: Datapoint) RawDatapoint {
        const metadata = alloc(RawMetadatum, point.metadata.len);
        for (metadata, point.metadata) |*to, from| {
            to.* = .{ .key = .of(from.key), .value = .of(from.value), .identifying = from.identifying };
        }
        return .{
            .key = .of(point.key),
            .value = .{ .tag = @intFromEnum(point.value), .as = switch (point.value) {
                .integer => |integer| .{ .integer = integer },
                .scaled, .float => |number| .{ .number = number },
                .counter32 => |count| .{ .counter32 = count },
                .counter64 => |count| .{ .counter64 = count },
                .text => |text| .{ .text = .of(text) },
            } },
            .timestamp = .{ .some = point.timestamp != null, .milliseconds = point.timestamp orelse 0 },
            .metadata = .of(metadata),
        };
    }
};

/// Emits datapoints of one target: the device, site or thing that was measured. One that is refused costs no other, and is
/// among those returned; the host logs it in any case.
pub fn emit(target: []const u8, points: []const Datapoint) Error![]const Rejection {
    const duplicate = 4;
    const given = alloc(datapoints.RawDatapoint, points.len);
    for (given, points) |*to, from| to.* = datapoints.raw(from);
    var result: datapoints.Emitted = undefined;
    const name: Text = .of(target);
    datapoints.emit(name.bytes, name.length, given.ptr, given.len, &result);
    if (result.failed) return fail("target {s}: {s}", .{ target, result.as.fault.text.get() });
    const refused = result.as.rejections.get();
    const rejections = alloc(Rejection, refused.len);
    for (rejections, refused) |*to, from| {
        const reason = if (from.reason.tag == duplicate) "it was emitted before" else from.reason.text.get();
        to.* = .{ .index = from.index, .reason = reason };
    }
    return rejections;
}

// ---- Modbus

pub const Table = enum(u8) { coils, discrete_inputs, holding_registers, input_registers };

/// One stretch of one table. Addresses are those of the wire, from 0.
pub const Span = struct {
    device: []const u8,
    /// `null` stands for the default unit of the grant.
    unit: ?u8 = null,
    table: Table,
    address: u16,
    count: u16,
};

/// What became of a span.
pub const Read = union(enum) {
    bits: []const bool,
    registers: []const u16,
    /// The device itself said no, with this code.
    exception: u8,
    /// Anything else, in words.
    failed: []const u8,
};

const modbus = struct {
    const RawSpan = extern struct {
        device: Text,
        unit: extern struct { some: bool, number: u8 },
        table: Table,
        address: u16,
        count: u16,
    };
    const Fault = extern struct { tag: u8, as: extern union { text: Text, exception: u8 } };
    const Words = extern struct { tag: u8, as: extern union { bits: List(bool), registers: List(u16) } };
    const RawRead = extern struct { failed: bool, as: extern union { words: Words, fault: Fault } };

    extern "pattoo:agent/modbus@0.1.0" fn @"read-many"(spans: [*]const RawSpan, count: usize, result: *List(RawRead)) void;

    fn read(raw: RawRead) Read {
        if (raw.failed) return switch (raw.as.fault.tag) {
            1 => .{ .failed = "no device of that name is granted" },
            2 => .{ .exception = raw.as.fault.as.exception },
            3 => .{ .failed = "the device did not answer in time" },
            else => .{ .failed = raw.as.fault.as.text.get() },
        };
        const words = raw.as.words;
        return if (words.tag == 0) .{ .bits = words.as.bits.get() } else .{ .registers = words.as.registers.get() };
    }
};

/// Reads many spans at once, each result in its place. What fails costs only itself.
pub fn readMany(spans: []const Span) []const Read {
    const given = alloc(modbus.RawSpan, spans.len);
    for (given, spans) |*to, from| {
        to.* = .{
            .device = .of(from.device),
            .unit = .{ .some = from.unit != null, .number = from.unit orelse 0 },
            .table = from.table,
            .address = from.address,
            .count = from.count,
        };
    }
    var result: List(modbus.RawRead) = undefined;
    modbus.@"read-many"(given.ptr, given.len, &result);
    const reads = alloc(Read, result.count);
    for (reads, result.get()) |*to, from| to.* = modbus.read(from);
    return reads;
}

/// What the specification calls an exception.
pub fn exceptionName(code: u8) []const u8 {
    return switch (code) {
        1 => "illegal function",
        2 => "illegal data address",
        3 => "illegal data value",
        4 => "server device failure",
        5 => "acknowledge",
        6 => "server device busy",
        8 => "memory parity error",
        10 => "gateway path unavailable",
        11 => "gateway target device failed to respond",
        else => "unknown",
    };
}

// ---- HTTP

pub const Header = struct { name: []const u8, value: []const u8 };

/// Every status is a response, 404 and 500 too.
pub const Response = struct { status: u16, body: []const u8 };

const http = struct {
    const RawHeader = extern struct { name: Text, value: Text };
    const Fetched = extern struct {
        failed: bool,
        as: extern union {
            response: extern struct { status: u16, headers: List(RawHeader), body: Text },
            fault: extern struct { tag: u8, as: extern union { text: Text, limit: u64, redirects: u32 } },
        },
    };

    extern "pattoo:agent/http@0.1.0" fn fetch(method: [*]const u8, method_length: usize, url: [*]const u8, url_length: usize, headers: [*]const RawHeader, header_count: usize, body_given: i32, body: [*]const u8, body_size: usize, timeout_given: i32, timeout: i32, result: *Fetched) void;
};

/// Fetches a page with GET.
pub fn get(url: []const u8, headers: []const Header) Error!Response {
    const given = alloc(http.RawHeader, headers.len);
    for (given, headers) |*to, from| to.* = .{ .name = .of(from.name), .value = .of(from.value) };
    var result: http.Fetched = undefined;
    const address: Text = .of(url);
    http.fetch("GET", 3, address.bytes, address.length, given.ptr, given.len, 0, "", 0, 0, 0, &result);
    if (!result.failed) return .{ .status = result.as.response.status, .body = result.as.response.body.get() };
    const fault = result.as.fault;
    return switch (fault.tag) {
        2 => fail("GET {s}: the request timed out", .{url}),
        5 => fail("GET {s}: the response is larger than {d} bytes", .{ url, fault.as.limit }),
        6 => fail("GET {s}: there were more than {d} redirects", .{ url, fault.as.redirects }),
        else => fail("GET {s}: {s}", .{ url, fault.as.text.get() }),
    };
}

// ---- State

const state = struct {
    const Found = extern struct { some: bool, value: Text };
    const Set = extern struct { failed: bool, fault: extern struct { tag: u8, text: Text } };

    extern "pattoo:agent/state@0.1.0" fn get(key: [*]const u8, length: usize, result: *Found) void;
    extern "pattoo:agent/state@0.1.0" fn set(key: [*]const u8, length: usize, value: [*]const u8, size: usize, result: *Set) void;
};

/// What an earlier collection left under a key.
pub fn kept(key: []const u8) ?[]const u8 {
    var found: state.Found = undefined;
    const name: Text = .of(key);
    state.get(name.bytes, name.length, &found);
    return if (found.some) found.value.get() else null;
}

/// Leaves something for the next collection, if this one ends well.
pub fn keep(key: []const u8, value: []const u8) Error!void {
    var result: state.Set = undefined;
    const name: Text = .of(key);
    const given: Text = .of(value);
    state.set(name.bytes, name.length, given.bytes, given.length, &result);
    if (result.failed) return fail("state {s} was not set: {s}", .{ key, result.fault.text.get() });
}
