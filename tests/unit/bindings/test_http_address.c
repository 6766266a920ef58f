/* test_http_address.c: which addresses are public, at both ends of every special range. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>
#include "http/address.h"

static bool private_text(const char *text) {
    struct sockaddr_storage storage;
    memset(&storage, 0, sizeof storage);
    struct sockaddr_in *in = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
    if (strchr(text, ':')) {
        in6->sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
    } else {
        in->sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
    }
    return address_private((struct sockaddr *)&storage);
}

static void assert_all(const char *const *list, bool expected) {
    for (; *list; list++) {
        if (private_text(*list) != expected) fail_msg("%s is the other", *list);
    }
}

static void ipv4(void **state) {
    (void)state;
    static const char *const hidden[] = {"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255",
        "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.169.254",
        "172.16.0.0", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.0",
        "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.7", "203.0.113.7",
        "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", NULL};
    static const char *const open[] = {"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0",
        "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
        "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.255.255",
        "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", NULL};
    assert_all(hidden, true);
    assert_all(open, false);
}

static void ipv6(void **state) {
    (void)state;
    static const char *const hidden[] = {"::", "::1", "::2", "fc00::1", "fdff::1", "fe80::1",
        "febf::1", "fec0::1", "ff02::1", "100::1", "2001::1", "2001:1ff::1", "2001:db8::1",
        "3fff::1", "3fff:fff::1", "5f00::1", "64:ff9b:1::1", "4000::1", NULL};
    static const char *const open[] = {"2606:4700:4700::1111", "2001:4860:4860::8888", "2a00::1",
        "2001:200::1", "2001:db9::1", "3ffe::1", "3fff:1000::1", NULL};
    assert_all(hidden, true);
    assert_all(open, false);
}

static void ipv4_inside_of_ipv6(void **state) {
    (void)state;
    static const char *const hidden[] = {"::ffff:127.0.0.1", "::ffff:10.1.2.3", "::127.0.0.1",
        "::8.8.8.8", "64:ff9b::192.168.1.1", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::", "2002:a00:1::", "2002:c0a8:101::1", NULL};
    static const char *const open[] = {
        "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", NULL};
    assert_all(hidden, true);
    assert_all(open, false);
}

static void other_families_are_private(void **state) {
    (void)state;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    assert_true(address_private((struct sockaddr *)&un));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4),
        cmocka_unit_test(ipv6),
        cmocka_unit_test(ipv4_inside_of_ipv6),
        cmocka_unit_test(other_families_are_private),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
