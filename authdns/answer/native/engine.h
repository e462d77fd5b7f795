/* The engine: compiled answers, served without Python. Pure functions over read-only memory; what is not known here is
 * declined, and Python answers. */
#ifndef AUTHDNS_ENGINE_H
#define AUTHDNS_ENGINE_H

#include <stddef.h>
#include <stdint.h>

enum {
    HEADER_OCTETS = 12,
    MAX_NAME_OCTETS = 255, /* RFC 1035 section 2.3.4 */
    MAX_LABEL_OCTETS = 63,
    MAX_LABELS = 127,
    MAX_RESPONSE_OCTETS = 65535,
    MAX_NSID_OCTETS = 4 + 128, /* of the option: as wire/message.py */
    MAX_ITERATIONS = 2500,     /* of NSEC3: as zone/signed_checks.py */
    VIEWS = 2 /* without DO, with DO (RFC 3225) */
};

/* One zone: `data` is an image as authdns/answer/image.py lays it out, `slots` the index made when it was loaded. */
struct slot {
    uint32_t tag;  /* the upper half of the name's hash */
    uint32_t node; /* where the node is in the image; 0: free */
};

struct image {
    const uint8_t *data;
    size_t octets;
    uint32_t mask; /* slots - 1, a power of two */
    uint32_t changed_mask;
    struct slot *slots;
    uint64_t *changed; /* NULL: none. Else hashes, or'ed with 1, of names that are answered from elsewhere; 0: free */
    const uint8_t *apex;
    unsigned apex_octets;
    unsigned apex_labels;
    uint32_t nodes;
    uint32_t proofs_at, proofs; /* of the chain of denial, sorted by key */
    uint32_t key_octets;        /* of each key; 0: each has its own length (NSEC) */
    unsigned iterations;        /* of NSEC3 */
    unsigned salt_octets;
    const uint8_t *salt;
    uint32_t existing; /* nodes of names that exist */
    uint64_t seed;     /* of the index */
};

/* NULL if the image is sound, else what is wrong with it. It has no `slots` yet. */
const char *image_load(struct image *image, const uint8_t *data, size_t octets);
/* Fills the slots: `mask` + 1 of them, all zero before, more than there are nodes. */
void image_index(struct image *image, uint64_t seed);
/* Notes a name that has changed since the image was made. `changed` has `changed_mask` + 1 places, at least twice as many
 * as names. 0: it is no name in lower case, or not in the zone. */
int image_change(struct image *image, const uint8_t *name, size_t octets);
/* The node of a name in lower case that exists, or 0. */
uint32_t image_find(const struct image *image, const uint8_t *name, unsigned octets);
/* A checksum against what disks do, not against people. */
uint64_t checksum(const uint8_t *data, size_t octets);

/* Which zones there are, by apex. Threads read it while one writes: a slot once taken keeps its apex, what may change is
 * a single pointer. */
struct zone_slot {
    uint64_t hash; /* of the apex; 0: free */
    uint8_t *apex;
    uint32_t apex_octets;
    const struct image *image; /* or NO_ZONE, or NO_IMAGE */
};

struct zone_set {
    uint64_t seed;
    uint32_t mask;
    uint32_t taken; /* slots, also of zones that are no more */
    struct zone_slot slots[];
};

extern const struct image NO_ZONE[1];  /* the zone is no more */
extern const struct image NO_IMAGE[1]; /* the zone is not in the engine: declined */

/* The slot of an apex in lower case, or where it would be. */
struct zone_slot *zone_slot(struct zone_set *zones, const uint8_t *apex, unsigned octets);
uint64_t hash_name(uint64_t seed, const uint8_t *name);

/* What is the same for all queries to one socket. */
struct limits {
    uint16_t payload;    /* of EDNS, ours; a UDP response is never longer */
    uint16_t tcp;        /* not 0: the only limit is the length of a message */
    uint16_t nsid_octets; /* of the option; 0: there is none */
    const uint8_t *nsid;
};

enum { DECLINED = -1, DROPPED = -2 };

/* Cookies (RFC 7873, RFC 9018). */
enum {
    SECRET_OCTETS = 16,
    MAX_SECRETS = 4,
    CLIENT_COOKIE_OCTETS = 8,
    COOKIE_OCTETS = 24 /* with the server's, as we make them */
};

/* The first one makes cookies, each of them verifies. */
struct secrets {
    unsigned count;
    uint8_t keys[MAX_SECRETS][SECRET_OCTETS];
};

/* Who asks, and when. */
struct client {
    uint8_t address[16]; /* of IPv4, also where it is mapped to IPv6, the first four octets */
    unsigned address_octets;
    uint32_t now;                  /* seconds since 1970 */
    const struct secrets *secrets; /* NULL: there are no cookies */
};

enum cookie_state { COOKIE_NONE, COOKIE_MALFORMED, COOKIE_VALID, COOKIE_NEW, COOKIE_INVALID };

/* What came with a request, and what to answer unless it is none or malformed. */
struct cookie {
    enum cookie_state state;
    uint8_t octets[COOKIE_OCTETS];
};

void answer_cookie(struct cookie *cookie, const struct secrets *secrets, const struct client *client,
                   const uint8_t *asked, size_t octets);
uint64_t siphash24(const uint8_t key[SECRET_OCTETS], const uint8_t *data, size_t octets);

/* What OPT said, and whether there was one. */
struct edns {
    int present;
    unsigned payload;
    unsigned version;
    int dnssec_ok;
    const uint8_t *options;
    size_t options_octets;
};

/* The question's name in lower case, and for each label where it starts and the hash of the name from there on; the last
 * is the root. */
struct name {
    uint8_t octets[MAX_NAME_OCTETS];
    unsigned length;
    unsigned labels;
    uint8_t starts[MAX_LABELS + 1];
    uint64_t hashes[MAX_LABELS + 1];
};

struct request {
    const uint8_t *octets;
    unsigned flags;
    size_t question_octets; /* 0 if it could not be read */
    struct edns edns;
    struct cookie cookie;
};

enum step { DROP, DECLINE, REFUSE, LOOK_UP };

/* What becomes of a query when its source has had too many responses. */
enum limited { WITHIN, LIMITED_TRUNCATED, LIMITED_DROPPED, LIMITED_LOGGED };

/* One request on its way. Several can be under way at once, so that the memory of one is fetched while others are read. */
struct job {
    enum step step;
    uint32_t qtype; /* or NO_TYPE, if there was no question */
    uint32_t rcode;
    unsigned apex; /* which of the name's labels the zone begins at */
    int cookie_alone; /* there is no question, and nothing else is wrong */
    enum limited limited; /* for whoever limits to say, between `locate` and `finish` */
    const struct image *image;
    const uint8_t *plan;
    struct request request;
    struct name name;
};
enum { NO_TYPE = 0x10000 };

/* Reads a request, which must stay where it is. */
void begin(struct job *job, const struct zone_set *zones, const struct client *client, const uint8_t *request,
           size_t octets);
/* Fetches what `locate` will look at; it can be left out. */
void prepare(const struct job *job);
/* Finds the answer. Not 0: there will be a response, unless the query is limited. */
int locate(struct job *job);
/* The octets of the response in `out`, which has room for `room`; or DECLINED, or DROPPED. */
int finish(struct job *job, const struct limits *limits, uint8_t *out, size_t room);

/* A name is hashed from the root down, a label at a time, so that all its ancestors are hashed on the way. */
uint64_t hash_label(uint64_t above, const uint8_t *label);

/* RFC 5155 section 5. */
void nsec3_hash(const uint8_t *name, size_t octets, const uint8_t *salt, size_t salt_octets, unsigned iterations,
                uint8_t digest[20]);

static inline uint32_t get16(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8; }
static inline uint32_t get32(const uint8_t *at) { return get16(at) | get16(at + 2) << 16; }
static inline uint32_t net16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static inline void put_net16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* The layout of an image; all numbers are little-endian, offsets are from its start. */

#define IMAGE_MAGIC "authdns\2"

enum {
    /* the header */
    IMAGE_OCTETS = 8,
    IMAGE_NODES = 12,      /* how many */
    IMAGE_FIRST_NODE = 16, /* the others follow, each behind the extent of the one before */
    IMAGE_PROOFS_AT = 20,
    IMAGE_PROOFS = 24,
    IMAGE_KEY_OCTETS = 28,
    IMAGE_ITERATIONS = 30,
    IMAGE_SALT_OCTETS = 32,
    IMAGE_APEX_OCTETS = 33,
    IMAGE_APEX = 34, /* and behind it the salt */

    /* a node: a name that exists, or (NODE_ALONE) one that only has answers of its own */
    NODE_EXTENT = 0, /* octets from here to the next node */
    NODE_AT = 4,     /* VIEWS tables: of the name itself; 0: declined */
    NODE_BELOW = 12, /* VIEWS tables: of the names below it that do not exist; 0: declined */
    NODE_FLAGS = 20,
    NODE_NAME_OCTETS = 21,
    NODE_NAME = 22, /* behind it its records, but for the other two kinds */

    NODE_ALONE = 1,
    NODE_PLAIN = 2, /* its records are those of its own plans without DO, but for the first (others) and last (ANY) */

    /* the records of a name: how many RRsets, 16 bits, and each of them; behind it each rdata, a length in front */
    RRSET_TYPE = 0,
    RRSET_RDATAS = 2, /* how many */
    RRSET_TTL = 4,
    RRSET_OCTETS = 8,
    RECORD_FIXED = 12, /* in the body of a plan: pointer, type, class, TTL, RDLENGTH, as on the wire */

    /* a table: which plan answers which type; the first entry is for all others */
    TABLE_COUNT = 0,
    TABLE_ENTRIES = 2,
    ENTRY_PLAN = 0, /* 0: declined */
    ENTRY_TYPE = 4,
    ENTRY_OCTETS = 6,

    /* a plan: see compiler.Plan and compiler.OpenPlan */
    PLAN_FLAGS = 0, /* QR, AA, rcode, as in the header */
    PLAN_BASE_OCTETS = 2,
    PLAN_POINTERS = 4, /* how many */
    PLAN_STOPS = 6,
    PLAN_BODY_OCTETS = 8, /* 32 bits, at most 65,536 */
    PLAN_OPEN = 12,       /* not 0: what an open plan has more is behind the stops */
    PLAN_OFFSETS = 14,    /* pointers of 16 bits, stops, what an open plan has more, body */

    STOP_OCTETS = 0, /* 32 bits */
    STOP_COUNTS = 4,
    STOP_TRUNCATED = 10,
    STOP_SIZE = 12,

    OPEN_OPENING = 0,  /* 32 bits: octets of the body in front of the proof */
    OPEN_NUMBER = 4,   /* of the stop there */
    OPEN_PROVEN = 6,   /* how many proofs are in the plan already */
    OPEN_PUSHED = 8,   /* how many pointers grow with the proof */
    OPEN_OFFSETS = 10, /* proven: 32 bits each; pushed: 16 bits each */

    /* a proof: an owner of the chain of denial */
    PROOF_KEY = 0,        /* offsets */
    PROOF_RECORDS_AT = 4,
    PROOF_OWNER = 8,
    PROOF_KEY_OCTETS = 12,
    PROOF_RECORDS = 14, /* how many; each a length of 16 bits, and what is behind the owner */
    PROOF_SIZE = 16
};

#endif
