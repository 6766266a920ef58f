/* crc16.h: the checksum that a Cluster spreads its keys by. */
#ifndef PERIGEE_REDIS_CRC16_H
#define PERIGEE_REDIS_CRC16_H
#include <stddef.h>
#include <stdint.h>

uint16_t redis_crc16(const char *bytes, size_t len);

#endif
