/* address.c: the special ranges of the IANA registries, for IPv4 as a table, for IPv6 as what is left of 2000::/3. */
#include "http/address.h"
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

static const struct {
    uint32_t net;
    int bits;
} special[] = {
    {IP(0, 0, 0, 0), 8},       /* this network */
    {IP(10, 0, 0, 0), 8},      /* private */
    {IP(100, 64, 0, 0), 10},   /* shared by carriers */
    {IP(127, 0, 0, 0), 8},     /* loopback */
    {IP(169, 254, 0, 0), 16},  /* link-local, with the clouds' metadata services */
    {IP(172, 16, 0, 0), 12},   /* private */
    {IP(192, 0, 0, 0), 24},    /* protocol assignments */
    {IP(192, 0, 2, 0), 24},    /* documentation */
    {IP(192, 88, 99, 0), 24},  /* 6to4 relays */
    {IP(192, 168, 0, 0), 16},  /* private */
    {IP(198, 18, 0, 0), 15},   /* benchmarks */
    {IP(198, 51, 100, 0), 24}, /* documentation */
    {IP(203, 0, 113, 0), 24},  /* documentation */
    {IP(224, 0, 0, 0), 4},     /* multicast */
    {IP(240, 0, 0, 0), 4},     /* reserved, broadcast */
};

static bool private4(uint32_t address) {
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        if ((address ^ special[i].net) >> (32 - special[i].bits) == 0) return true;
    }
    return false;
}

static bool starts6(const uint8_t *address, const uint8_t *prefix, int bits) {
    int whole = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, (size_t)whole) != 0) return false;
    return !rest || (address[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

static uint32_t embedded4(const uint8_t *at) {
    return IP(at[0], at[1], at[2], at[3]);
}

static bool private6(const uint8_t address[16]) {
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xFF, 0x9B};
    static const uint8_t six_to_four[2] = {0x20, 0x02};
    static const uint8_t assignments[2] = {0x20, 0x01}; /* 2001::/23 with Teredo */
    static const uint8_t documentation[4] = {0x20, 0x01, 0x0D, 0xB8};
    static const uint8_t documentation_too[3] = {0x3F, 0xFF, 0x00}; /* 3fff::/20 */
    static const uint8_t unicast[1] = {0x20};                       /* 2000::/3 */
    if (starts6(address, mapped, 96) || starts6(address, nat64, 96))
        return private4(embedded4(address + 12));
    if (starts6(address, six_to_four, 16)) return private4(embedded4(address + 2));
    if (starts6(address, assignments, 16) && address[2] < 2) return true;
    if (starts6(address, documentation, 32) || starts6(address, documentation_too, 20)) return true;
    return !starts6(address, unicast, 3);
}

bool address_private(const struct sockaddr *address) {
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return private4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        return private6(in.sin6_addr.s6_addr);
    }
    return true;
}
