/* oids.h: the numbers of PostgreSQL's built-in types, which never change, and of the arrays of them. */
#ifndef PERIGEE_POSTGRES_OIDS_H
#define PERIGEE_POSTGRES_OIDS_H
#include <postgres_ext.h>

/* X(NAME, type, array of it). Types that are texts to scripts are here for their arrays. */
#define OID_LIST(X)                                                                                \
    X(BOOL, 16, 1000)                                                                              \
    X(BYTEA, 17, 1001)                                                                             \
    X(CHAR, 18, 1002)                                                                              \
    X(NAME, 19, 1003)                                                                              \
    X(INT8, 20, 1016)                                                                              \
    X(INT2, 21, 1005)                                                                              \
    X(INT4, 23, 1007)                                                                              \
    X(TEXT, 25, 1009)                                                                              \
    X(OID, 26, 1028)                                                                               \
    X(JSON, 114, 199)                                                                              \
    X(CIDR, 650, 651)                                                                              \
    X(FLOAT4, 700, 1021)                                                                           \
    X(FLOAT8, 701, 1022)                                                                           \
    X(INET, 869, 1041)                                                                             \
    X(BPCHAR, 1042, 1014)                                                                          \
    X(VARCHAR, 1043, 1015)                                                                         \
    X(DATE, 1082, 1182)                                                                            \
    X(TIME, 1083, 1183)                                                                            \
    X(TIMESTAMP, 1114, 1115)                                                                       \
    X(TIMESTAMPTZ, 1184, 1185)                                                                     \
    X(INTERVAL, 1186, 1187)                                                                        \
    X(TIMETZ, 1266, 1270)                                                                          \
    X(NUMERIC, 1700, 1231)                                                                         \
    X(UUID, 2950, 2951)                                                                            \
    X(JSONB, 3802, 3807)

enum {
#define X(NAME, type, list) OID_##NAME = type,
    OID_LIST(X)
#undef X
};

/* The type of an array's elements; 0 when it is no array of these. */
static inline Oid oid_element(Oid type) {
    switch (type) {
#define X(NAME, type, list)                                                                        \
    case list:                                                                                     \
        return type;
        OID_LIST(X)
#undef X
    default:
        return 0;
    }
}

#endif
