/* A Modbus device out of libmodbus.
 *
 * Usage: libmodbus_device            on a free port of 127.0.0.1
 *        libmodbus_device DEVICE     on a serial line, 19200 baud, no parity, as unit 7
 *        libmodbus_device - quiet    on a free port, without printing requests
 *
 * 300 addresses in each table; see fill(). Says {"port": N} when it is ready (0 on a line), then each request as a line of
 * JSON: [unit, function, address, count]. */
#include <arpa/inet.h>
#include <modbus/modbus.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ADDRESSES = 300 };

static modbus_mapping_t *fill(void) {
    modbus_mapping_t *tables = modbus_mapping_new(ADDRESSES, ADDRESSES, ADDRESSES, ADDRESSES);
    if (tables == NULL) exit(1);
    for (int n = 0; n < ADDRESSES; n++) {
        tables->tab_registers[n] = (uint16_t)(n * 257);
        tables->tab_input_registers[n] = (uint16_t)(n * 257 + 1);
        tables->tab_bits[n] = n % 3 == 0;
        tables->tab_input_bits[n] = n % 3 != 0;
    }
    return tables;
}

static void serve(modbus_t *device, modbus_mapping_t *tables, int quiet) {
    uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
    int header = modbus_get_header_length(device);
    for (;;) {
        int length = modbus_receive(device, request);
        if (length < 0) return;
        if (length == 0) continue; /* for another unit on the line */
        const uint8_t *pdu = request + header;
        if (!quiet) {
            printf("[%d, %d, %d, %d]\n", request[header - 1], pdu[0], pdu[1] << 8 | pdu[2], pdu[3] << 8 | pdu[4]);
            fflush(stdout);
        }
        if (modbus_reply(device, request, length, tables) < 0) return;
    }
}

int main(int argc, char **argv) {
    modbus_mapping_t *tables = fill();
    int quiet = argc > 2 && strcmp(argv[2], "quiet") == 0;
    if (argc > 1 && strcmp(argv[1], "-") != 0) {
        modbus_t *device = modbus_new_rtu(argv[1], 19200, 'N', 8, 1);
        if (device == NULL || modbus_set_slave(device, 7) < 0 || modbus_connect(device) < 0) return 1;
        puts("{\"port\": 0}");
        fflush(stdout);
        for (;;) serve(device, tables, quiet);
    }
    modbus_t *device = modbus_new_tcp("127.0.0.1", 0);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (device == NULL || bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 64) < 0) return 1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        if (modbus_tcp_accept(device, &listener) < 0) return 1;
        if (fork() == 0) { /* one process a connection */
            serve(device, tables, quiet);
            _exit(0);
        }
        close(modbus_get_socket(device)); /* modbus_close would shut it down for the other process too */
    }
}
