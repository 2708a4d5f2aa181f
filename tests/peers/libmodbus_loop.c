/* Reads 100 holding registers back to back with libmodbus, over one connection.
 *
 * Usage: libmodbus_loop PORT READS        says how many nanoseconds that took */
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv) {
    uint16_t registers[100];
    struct timespec start, end;
    if (argc != 3) return 2;
    modbus_t *device = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    if (device == NULL || modbus_set_slave(device, 1) < 0) return 1;
    /* On a busy machine a read is slow, and not wrong. */
    if (modbus_set_response_timeout(device, 20, 0) < 0 || modbus_set_byte_timeout(device, 20, 0) < 0) return 1;
    if (modbus_connect(device) < 0) return 1;
    if (modbus_read_registers(device, 0, 100, registers) != 100) return 1;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int left = atoi(argv[2]); left > 0; left--)
        if (modbus_read_registers(device, 0, 100, registers) != 100 || registers[99] != 99 * 257) return 1;
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec);
    modbus_close(device);
    return 0;
}
