"""A Modbus device whose unit 1 is odd in one way; the value of a register is 100 plus its address.

Usage: odd_modbus_device.py MODE [rtu+tcp]

MODE: silent-hole     requests that contain address 5 get no reply
      exception-hole  requests that contain address 5 get exception 1
      silent-length   requests for more than 60 registers get no reply
      gateway-CODE    the device is a gateway: unit 2 gets exception CODE after 0.2 s

Listens on a free port of 127.0.0.1 and says so: {"port": N}. Then each request is a line of JSON as it comes in:
[unit, function, address, count].
"""

import json
import socket
import struct
import sys
import threading
import time

MODE = sys.argv[1]
RTU = sys.argv[2:] == ["rtu+tcp"]


def say(what):
    print(json.dumps(what), flush=True)


def checksum(frame):
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


def answer(unit, request):
    """The reply without its frame, or None."""
    function, address, count = struct.unpack(">BHH", request)
    say([unit, function, address, count])
    in_hole = address <= 5 < address + count
    if MODE.startswith("gateway-") and unit == 2:
        time.sleep(0.2)
        return bytes([function | 0x80, int(MODE.removeprefix("gateway-"))])
    if MODE == "silent-hole" and in_hole or MODE == "silent-length" and count > 60:
        return None
    if MODE == "exception-hole" and in_hole:
        return bytes([function | 0x80, 1])
    values = b"".join(struct.pack(">H", 100 + address + offset) for offset in range(count))
    return bytes([function, len(values)]) + values


def receive(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def serve(connection):
    try:
        while True:
            if RTU:
                frame = receive(connection, 8)
                reply = answer(frame[0], frame[1:6])
                if reply is not None:
                    reply = frame[:1] + reply
                    connection.sendall(reply + checksum(reply))
            else:
                frame = receive(connection, 12)
                reply = answer(frame[6], frame[7:])
                if reply is not None:
                    connection.sendall(frame[:4] + struct.pack(">H", len(reply) + 1) + frame[6:7] + reply)
    except OSError:
        connection.close()


listener = socket.create_server(("127.0.0.1", 0))
say({"port": listener.getsockname()[1]})
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
