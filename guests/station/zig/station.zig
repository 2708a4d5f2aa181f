//! A pumping station: two spans of registers from a Modbus device, and one JSON document from a web site.
//!
//! ../README.md says what it does, in any language.

const std = @import("std");
const pattoo = @import("pattoo.zig");
const json = std.json;

comptime {
    pattoo.collector(collect);
}

const Settings = struct {
    device: []const u8,
    unit: u8,
    pump: pattoo.Span,
    meter: pattoo.Span,
    url: []const u8,
    site: []const u8,
    note: []const u8,

    fn read() pattoo.Error!Settings {
        const object = try parse(pattoo.settings());
        const device = try text(object, "device");
        const unit = try integer(u8, object, "unit");
        return .{
            .device = device,
            .unit = unit,
            .pump = try span(object, "pump", device, unit, 4),
            .meter = try span(object, "meter", device, unit, 10),
            .url = try text(object, "url"),
            .site = try text(object, "site"),
            .note = if (object.get("note") == null) "" else try text(object, "note"),
        };
    }
};

/// A span of the device, which begins where the settings say.
fn span(object: json.ObjectMap, key: []const u8, device: []const u8, unit: u8, count: u16) pattoo.Error!pattoo.Span {
    const place = switch (try member(object, key)) {
        .object => |place| place,
        else => return pattoo.fail("`{s}` is not an object", .{key}),
    };
    const name = try text(place, "table");
    const table: pattoo.Table = if (std.mem.eql(u8, name, "holding-registers"))
        .holding_registers
    else if (std.mem.eql(u8, name, "input-registers"))
        .input_registers
    else
        return pattoo.fail("`table` of `{s}` is holding-registers or input-registers, not {s}", .{ key, name });
    return .{ .device = device, .unit = unit, .table = table, .address = try integer(u16, place, "address"), .count = count };
}

fn collect() pattoo.Error!void {
    const settings = try Settings.read();
    const reads = pattoo.readMany(&.{ settings.pump, settings.meter });
    const weather = fetchWeather(settings.url);
    const number = try countCollection();

    var taken: usize = 0;
    inline for (.{ "pump", "meter" }, .{ decodePump, decodeMeter }, 0..) |name, decode, place| {
        const metadata = [_]pattoo.Metadatum{
            .{ .key = "unit", .value = pattoo.format("{d}", .{settings.unit}) },
            .{ .key = "span", .value = name },
            .{ .key = "note", .value = settings.note, .identifying = false },
        };
        switch (reads[place]) {
            .registers => |registers| taken += try emit(settings.device, &decode(registers), &metadata),
            .bits => unreachable,
            .exception => |code| {
                pattoo.log(.warn, "{s}: exception {d} ({s})", .{ name, code, pattoo.exceptionName(code) });
                taken += try emit(settings.device, &.{.{ .key = "exception", .value = .{ .integer = code } }}, &metadata);
            },
            .failed => |why| pattoo.log(.warn, "{s}: {s}", .{ name, why }),
        }
    }

    const note = [_]pattoo.Metadatum{.{ .key = "note", .value = settings.note, .identifying = false }};
    if (weather) |answer| switch (answer) {
        .points => |points| taken += try emit(settings.site, &points, &note),
        .status => |status| {
            pattoo.log(.warn, "{s}: status {d}", .{ settings.site, status });
            taken += try emit(settings.site, &.{.{ .key = "status", .value = .{ .integer = status } }}, &note);
        },
    } else |_| pattoo.log(.warn, "{s}: {s}", .{ settings.site, pattoo.failure() });

    taken += try emit("collector", &.{.{ .key = "collections", .value = .{ .integer = number } }}, &.{});
    pattoo.log(.info, "{d} datapoints", .{taken});
}

/// Emits datapoints as of now, all with this metadata; returns how many were taken.
fn emit(target: []const u8, points: []const pattoo.Datapoint, metadata: []const pattoo.Metadatum) pattoo.Error!usize {
    var described: [4]pattoo.Datapoint = undefined;
    for (described[0..points.len], points) |*to, from| {
        to.* = .{ .key = from.key, .value = from.value, .timestamp = pattoo.collectionTime(), .metadata = metadata };
    }
    const rejections = try pattoo.emit(target, described[0..points.len]);
    for (rejections) |rejection| {
        pattoo.log(.warn, "{s}: {s}: {s}", .{ target, points[rejection.index].key, rejection.reason });
    }
    return points.len - rejections.len;
}

fn decodePump(registers: []const u16) [3]pattoo.Datapoint {
    const temperature: i16 = @bitCast(registers[1]);
    return .{
        .{ .key = "level", .value = .{ .integer = registers[0] } },
        .{ .key = "temperature", .value = .{ .scaled = @as(f64, @floatFromInt(temperature)) * 0.1 } },
        .{ .key = "revolutions", .value = .{ .counter32 = @intCast(join(registers[2..4])) } },
    };
}

fn decodeMeter(registers: []const u16) [3]pattoo.Datapoint {
    const power: f32 = @bitCast(@as(u32, @intCast(join(&.{ registers[1], registers[0] }))));
    return .{
        .{ .key = "power", .value = .{ .float = power } },
        .{ .key = "energy", .value = .{ .counter64 = join(registers[2..6]) } },
        .{ .key = "serial", .value = .{ .text = ascii(registers[6..10]) } },
    };
}

/// Registers as one number, the most significant first.
fn join(registers: []const u16) u64 {
    var number: u64 = 0;
    for (registers) |register| number = number << 16 | register;
    return number;
}

/// Two ASCII characters a register, up to the first NUL and without spaces around them.
fn ascii(registers: []const u16) []const u8 {
    const bytes = pattoo.allocator.alloc(u8, registers.len * 2) catch @panic("out of memory");
    for (registers, 0..) |register, place| std.mem.writeInt(u16, bytes[place * 2 ..][0..2], register, .big);
    const end = std.mem.indexOfScalar(u8, bytes, 0) orelse bytes.len;
    return std.mem.trim(u8, bytes[0..end], &std.ascii.whitespace);
}

const Answer = union(enum) {
    points: [4]pattoo.Datapoint,
    status: u16,
};

fn fetchWeather(url: []const u8) pattoo.Error!Answer {
    const response = try pattoo.get(url, &.{.{ .name = "accept", .value = "application/json" }});
    if (response.status != 200) return .{ .status = response.status };
    const document = try parse(response.body);
    return .{ .points = .{
        .{ .key = "outdoor_temperature", .value = .{ .float = try float(document, "temperature") } },
        .{ .key = "humidity", .value = .{ .integer = try integer(i64, document, "humidity") } },
        .{ .key = "rain_total", .value = .{ .counter64 = try integer(u64, document, "rain_total") } },
        .{ .key = "station_name", .value = .{ .text = try text(document, "name") } },
    } };
}

/// The number of this collection.
fn countCollection() pattoo.Error!i64 {
    const key = "collections";
    const before: i64 = if (pattoo.kept(key)) |bytes|
        std.fmt.parseInt(i64, bytes, 10) catch return pattoo.fail("what was kept of {s} is no number: {s}", .{ key, bytes })
    else
        0;
    try pattoo.keep(key, pattoo.format("{d}", .{before + 1}));
    return before + 1;
}

// ---- JSON, with errors that name the key

// A byte order mark before it is skipped.
fn parse(bytes: []const u8) pattoo.Error!json.ObjectMap {
    const mark = "\xEF\xBB\xBF";
    const document = if (std.mem.startsWith(u8, bytes, mark)) bytes[mark.len..] else bytes;
    const value = json.parseFromSliceLeaky(json.Value, pattoo.allocator, document, .{}) catch |err|
        return pattoo.fail("it is not JSON: {s}", .{@errorName(err)});
    return switch (value) {
        .object => |object| object,
        else => pattoo.fail("it is JSON, and not an object", .{}),
    };
}

fn member(object: json.ObjectMap, key: []const u8) pattoo.Error!json.Value {
    return object.get(key) orelse pattoo.fail("`{s}` is missing", .{key});
}

fn text(object: json.ObjectMap, key: []const u8) pattoo.Error![]const u8 {
    return switch (try member(object, key)) {
        .string => |string| string,
        else => pattoo.fail("`{s}` is not a text", .{key}),
    };
}

fn integer(comptime T: type, object: json.ObjectMap, key: []const u8) pattoo.Error!T {
    return switch (try member(object, key)) {
        .integer => |number| std.math.cast(T, number) orelse pattoo.fail("`{s}` is out of range", .{key}),
        else => pattoo.fail("`{s}` is not a whole number", .{key}),
    };
}

fn float(object: json.ObjectMap, key: []const u8) pattoo.Error!f64 {
    return switch (try member(object, key)) {
        .integer => |number| @floatFromInt(number),
        .float => |number| number,
        else => pattoo.fail("`{s}` is not a number", .{key}),
    };
}

test "registers are joined with the most significant first" {
    try std.testing.expectEqual(0x0001_0002, join(&.{ 1, 2 }));
    const power = decodeMeter(&.{ 0xE979, 0x42F6, 0, 0, 1, 0, 0x504D, 0x5020, 0, 0x4142 })[0].value.float;
    try std.testing.expectEqual(@as(f64, @as(f32, 123.456)), power);
}
