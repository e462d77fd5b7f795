/* Loading an image: every offset in it is looked at once, here, so that answer.c may trust them all. */
#include "engine.h"

#include <string.h>

enum {
    KNOWN_PLANS = 64, /* those that many names share are looked at once in a while, not for each of them */
    AHEAD = 16        /* nodes whose slots are fetched while others are filled */
};

static int inside(const struct image *image, uint64_t at, uint64_t octets) {
    return at <= image->octets && octets <= image->octets - at;
}

/* Whether these octets are a name, lower-case, its labels ending where it ends. */
static int are_name(const uint8_t *name, size_t octets) {
    if (!octets || octets > MAX_NAME_OCTETS)
        return 0;
    size_t position = 0;
    for (;;) {
        if (position >= octets)
            return 0;
        unsigned length = name[position];
        if (length > MAX_LABEL_OCTETS)
            return 0;
        position += length + 1;
        if (!length)
            break;
    }
    if (position != octets)
        return 0;
    for (size_t i = 0; i < octets; i++)
        if ((unsigned)name[i] - 'A' < 26u)
            return 0;
    return 1;
}

static int is_name(const struct image *image, uint64_t at, unsigned octets) {
    return inside(image, at, octets) && are_name(image->data + at, octets);
}

/* Whether `count` offsets of pointers ascend and are all in a body. */
static int are_pointers(const uint8_t *at, unsigned count, uint32_t body_octets) {
    uint32_t least = 0;
    for (unsigned i = 0; i < count; i++) {
        uint32_t offset = get16(at + 2 * (size_t)i);
        if (offset < least || offset + 2 > body_octets)
            return 0;
        least = offset + 2;
    }
    return 1;
}

static const char *check_open(const struct image *image, uint64_t at, const uint8_t *stop, unsigned stops,
                              uint32_t body_octets, uint64_t *end) {
    if (!inside(image, at, OPEN_OFFSETS))
        return "what an open plan has more is cut off";
    const uint8_t *open = image->data + at;
    uint32_t opening = get32(open + OPEN_OPENING);
    unsigned number = get16(open + OPEN_NUMBER), proven = get16(open + OPEN_PROVEN), pushed = get16(open + OPEN_PUSHED);
    *end = at + OPEN_OFFSETS + 4 * (uint64_t)proven + 2 * (uint64_t)pushed;
    if (!inside(image, at, *end - at))
        return "what an open plan has more is cut off";
    if (number >= stops || opening != get32(stop + STOP_SIZE * (size_t)number + STOP_OCTETS) || !image->proofs)
        return "an open plan opens where nothing stops, or there is no proof";
    if (!are_pointers(open + OPEN_OFFSETS + 4 * (size_t)proven, pushed, body_octets))
        return "a pushed pointer is outside the body";
    return NULL;
}

/* Whether the last `octets` of a name are a name. */
static int is_suffix(const uint8_t *name, unsigned name_octets, unsigned octets) {
    unsigned position = 0;
    while (name[position] && position + octets < name_octets)
        position += name[position] + 1u;
    return position + octets == name_octets;
}

static const char *check_plan(const struct image *image, uint64_t at) {
    if (!inside(image, at, PLAN_OFFSETS))
        return "a plan is cut off";
    const uint8_t *plan = image->data + at;
    unsigned pointers = get16(plan + PLAN_POINTERS), stops = get16(plan + PLAN_STOPS);
    uint32_t body_octets = get32(plan + PLAN_BODY_OCTETS);
    uint64_t stop_at = at + PLAN_OFFSETS + 2 * (uint64_t)pointers, end = stop_at + STOP_SIZE * (uint64_t)stops;
    if (!inside(image, at, end - at) || !stops)
        return "a plan is cut off, or cannot stop";
    const uint8_t *stop = image->data + stop_at;
    uint32_t before = 0;
    for (unsigned i = 0; i < stops; i++) {
        uint32_t octets = get32(stop + STOP_SIZE * (size_t)i + STOP_OCTETS);
        if (octets < before || (i == 0 && octets != 0))
            return "the stops of a plan do not ascend from 0";
        before = octets;
    }
    if (before != body_octets || body_octets > 0x10000)
        return "the last stop of a plan is not the end of its body";
    if (!are_pointers(plan + PLAN_OFFSETS, pointers, body_octets))
        return "a pointer is outside the body";
    if (get16(plan + PLAN_OPEN)) {
        const char *wrong = check_open(image, end, stop, stops, body_octets, &end);
        if (wrong)
            return wrong;
    }
    return inside(image, end, body_octets) ? NULL : "the body of a plan is cut off";
}

/* `node` is the node that the table answers for, or, if `below`, for the names below it; `known` are plans that have been
 * looked at, each where its offset says. */
static const char *check_table(const struct image *image, uint64_t at, const uint8_t *node, int below, uint32_t *known) {
    if (!at)
        return NULL;
    if (!inside(image, at, TABLE_ENTRIES))
        return "a table is cut off";
    unsigned count = get16(image->data + at + TABLE_COUNT);
    if (!count || !inside(image, at, TABLE_ENTRIES + (uint64_t)ENTRY_OCTETS * count))
        return "a table is cut off, or empty";
    for (unsigned i = 0; i < count; i++) {
        uint32_t plan = get32(image->data + at + TABLE_ENTRIES + (size_t)i * ENTRY_OCTETS + ENTRY_PLAN);
        if (!plan)
            continue;
        if (known[plan % KNOWN_PLANS] != plan) {
            const char *wrong = check_plan(image, plan);
            if (wrong)
                return wrong;
            known[plan % KNOWN_PLANS] = plan;
        }
        unsigned base_octets = get16(image->data + plan + PLAN_BASE_OCTETS);
        if (!is_suffix(node + NODE_NAME, node[NODE_NAME_OCTETS], base_octets))
            return "the base of a plan is no suffix of the name that it is for";
        if (get16(image->data + plan + PLAN_OPEN) && !below && base_octets == node[NODE_NAME_OCTETS])
            return "an open plan denies a name that exists";
    }
    return NULL;
}

static const char *check_proofs(const struct image *image) {
    if (!inside(image, image->proofs_at, (uint64_t)image->proofs * PROOF_SIZE))
        return "the proofs are cut off";
    for (uint32_t i = 0; i < image->proofs; i++) {
        const uint8_t *proof = image->data + image->proofs_at + (size_t)i * PROOF_SIZE;
        unsigned key_octets = get16(proof + PROOF_KEY_OCTETS);
        if (!inside(image, get32(proof + PROOF_KEY), key_octets) ||
            (image->key_octets && image->key_octets != key_octets))
            return "the key of a proof is cut off";
        uint64_t owner = get32(proof + PROOF_OWNER);
        unsigned octets = 0;
        while (inside(image, owner + octets, 1) && image->data[owner + octets] && octets < MAX_NAME_OCTETS)
            octets += image->data[owner + octets] + 1u;
        if (!is_name(image, owner, octets + 1))
            return "the owner of a proof is no name";
        uint64_t record = get32(proof + PROOF_RECORDS_AT), all = 0;
        for (unsigned left = get16(proof + PROOF_RECORDS); left && all <= 0x10000; left--) {
            if (!inside(image, record, 2) || !inside(image, record + 2, get16(image->data + record)))
                return "a record of a proof is cut off";
            all += MAX_NAME_OCTETS + 2u + get16(image->data + record);
            record += 2u + get16(image->data + record);
        }
        if (all > 0x10000)
            return "a proof is larger than a message";
    }
    return NULL;
}

/* Whether a plan of a plain node is records of one type and nothing else, at the question's own name. */
static int holds_records(const struct image *image, uint32_t at, unsigned type) {
    const uint8_t *plan = image->data + at;
    uint32_t left = get32(plan + PLAN_BODY_OCTETS);
    const uint8_t *record = plan + PLAN_OFFSETS + STOP_SIZE * (size_t)get16(plan + PLAN_STOPS);
    if (get16(plan + PLAN_POINTERS) || get16(plan + PLAN_OPEN) || !left)
        return 0;
    while (left) {
        if (left < RECORD_FIXED || left - RECORD_FIXED < net16(record + 10) ||
            net16(record) != (0xC000 | HEADER_OCTETS) || net16(record + 2) != type)
            return 0;
        left -= RECORD_FIXED + net16(record + 10);
        record += RECORD_FIXED + net16(record + 10);
    }
    return 1;
}

static const char *check_plain(const struct image *image, const uint8_t *node) {
    uint32_t at = get32(node + NODE_AT);
    unsigned count = at ? get16(image->data + at + TABLE_COUNT) : 0;
    for (unsigned i = 1; i + 1 < count; i++) {
        const uint8_t *entry = image->data + at + TABLE_ENTRIES + (size_t)i * ENTRY_OCTETS;
        if (!get32(entry + ENTRY_PLAN) || !holds_records(image, get32(entry + ENTRY_PLAN), get16(entry + ENTRY_TYPE)))
            return "a plan of a plain node is not its records";
    }
    return count < 3 ? "a plain node has no records" : NULL;
}

/* The records behind the name of a node that has no other place for them. */
static const char *check_records(const struct image *image, uint64_t at) {
    if (!inside(image, at, 2))
        return "the records of a node are cut off";
    unsigned rrsets = get16(image->data + at);
    at += 2;
    for (unsigned i = 0; i < rrsets; i++) {
        if (!inside(image, at, RRSET_OCTETS))
            return "an RRset is cut off";
        unsigned rdatas = get16(image->data + at + RRSET_RDATAS);
        at += RRSET_OCTETS;
        for (unsigned each = 0; each < rdatas; each++) {
            if (!inside(image, at, 2) || !inside(image, at + 2, get16(image->data + at)))
                return "a record is cut off";
            at += 2 + (uint64_t)get16(image->data + at);
        }
    }
    return NULL;
}

static const char *check_node(const struct image *image, uint64_t at, uint32_t *known) {
    if (!inside(image, at, NODE_NAME))
        return "a node is cut off";
    const uint8_t *node = image->data + at;
    unsigned octets = node[NODE_NAME_OCTETS];
    if (!is_name(image, at + NODE_NAME, octets))
        return "the name of a node is no name";
    if (!is_suffix(node + NODE_NAME, octets, image->apex_octets) ||
        memcmp(node + NODE_NAME + octets - image->apex_octets, image->apex, image->apex_octets) != 0)
        return "a node is outside the zone";
    for (unsigned view = 0; view < VIEWS; view++) {
        const char *wrong = check_table(image, get32(node + NODE_AT + 4 * view), node, 0, known);
        if (!wrong)
            wrong = check_table(image, get32(node + NODE_BELOW + 4 * view), node, 1, known);
        if (wrong)
            return wrong;
    }
    if (node[NODE_FLAGS] & NODE_PLAIN)
        return check_plain(image, node);
    return node[NODE_FLAGS] & NODE_ALONE ? NULL : check_records(image, at + NODE_NAME + octets);
}

static const char *check_nodes(struct image *image) {
    uint64_t at = get32(image->data + IMAGE_FIRST_NODE);
    uint32_t known[KNOWN_PLANS] = {0};
    int apex = 0;
    if (at < IMAGE_APEX)
        return "the nodes begin in the header";
    for (uint32_t i = 0; i < image->nodes; i++) {
        const char *wrong = check_node(image, at, known);
        if (wrong)
            return wrong;
        int alone = image->data[at + NODE_FLAGS] & NODE_ALONE;
        apex |= image->data[at + NODE_NAME_OCTETS] == image->apex_octets && !alone;
        image->existing += !alone;
        uint32_t extent = get32(image->data + at + NODE_EXTENT);
        if (extent < NODE_NAME)
            return "a node has no extent";
        at += extent;
    }
    if (!apex)
        return "there is no apex";
    return at == image->octets ? NULL : "the nodes do not end where the image does";
}

const char *image_load(struct image *image, const uint8_t *data, size_t octets) {
    memset(image, 0, sizeof *image);
    image->data = data;
    image->octets = octets;
    if (octets < IMAGE_APEX || memcmp(data, IMAGE_MAGIC, 8) != 0)
        return "this is no image, or one of another version";
    if (get32(data + IMAGE_OCTETS) != octets)
        return "the image is cut off";
    image->nodes = get32(data + IMAGE_NODES);
    image->proofs_at = get32(data + IMAGE_PROOFS_AT);
    image->proofs = get32(data + IMAGE_PROOFS);
    image->key_octets = get16(data + IMAGE_KEY_OCTETS);
    image->iterations = get16(data + IMAGE_ITERATIONS);
    image->salt_octets = data[IMAGE_SALT_OCTETS];
    image->apex_octets = data[IMAGE_APEX_OCTETS];
    image->apex = data + IMAGE_APEX;
    if (!is_name(image, IMAGE_APEX, image->apex_octets) ||
        !inside(image, IMAGE_APEX + image->apex_octets, image->salt_octets))
        return "the apex is no name, or the salt is cut off";
    image->salt = image->apex + image->apex_octets;
    if (image->key_octets && image->key_octets != 20)
        return "a hash is not 20 octets long";
    if (image->iterations > MAX_ITERATIONS)
        return "a hash is iterated too often";
    const char *wrong = check_proofs(image);
    return wrong ? wrong : check_nodes(image);
}

static void place(struct image *image, uint32_t node, uint64_t hash) {
    uint32_t at = (uint32_t)hash & image->mask;
    while (image->slots[at].node)
        at = (at + 1) & image->mask;
    image->slots[at].tag = (uint32_t)(hash >> 32);
    image->slots[at].node = node;
}

void image_index(struct image *image, uint64_t seed) {
    image->seed = seed;
    uint32_t at = get32(image->data + IMAGE_FIRST_NODE), nodes[AHEAD];
    uint64_t hashes[AHEAD];
    for (uint32_t i = 0; i < image->nodes + AHEAD; i++) {
        if (i >= AHEAD)
            place(image, nodes[i % AHEAD], hashes[i % AHEAD]);
        if (i >= image->nodes)
            continue;
        nodes[i % AHEAD] = at;
        hashes[i % AHEAD] = hash_name(seed, image->data + at + NODE_NAME);
        __builtin_prefetch(&image->slots[(uint32_t)hashes[i % AHEAD] & image->mask], 1);
        at += get32(image->data + at + NODE_EXTENT);
    }
}

int image_change(struct image *image, const uint8_t *name, size_t octets) {
    if (!are_name(name, octets) || !is_suffix(name, (unsigned)octets, image->apex_octets) ||
        memcmp(name + octets - image->apex_octets, image->apex, image->apex_octets) != 0)
        return 0;
    uint64_t hash = hash_name(image->seed, name) | 1;
    uint32_t place = (uint32_t)(hash >> 32) & image->changed_mask;
    while (image->changed[place] && image->changed[place] != hash)
        place = (place + 1) & image->changed_mask;
    image->changed[place] = hash;
    return 1;
}

uint32_t image_find(const struct image *image, const uint8_t *name, unsigned octets) {
    uint64_t hash = hash_name(image->seed, name);
    uint32_t at = (uint32_t)hash & image->mask;
    for (; image->slots[at].node; at = (at + 1) & image->mask) {
        const uint8_t *node = image->data + image->slots[at].node;
        if (image->slots[at].tag == (uint32_t)(hash >> 32) && node[NODE_NAME_OCTETS] == octets &&
            !memcmp(node + NODE_NAME, name, octets))
            return node[NODE_FLAGS] & NODE_ALONE ? 0 : image->slots[at].node;
    }
    return 0;
}

uint64_t checksum(const uint8_t *data, size_t octets) {
    enum { LANES = 4 };
    uint64_t lanes[LANES] = {1, 2, 3, 4}, sum = octets;
    const uint8_t *end = data + octets / (8 * LANES) * (8 * LANES);
    for (; data < end; data += 8 * LANES)
        for (unsigned lane = 0; lane < LANES; lane++) {
            uint64_t word;
            memcpy(&word, data + 8 * lane, 8);
            lanes[lane] = (lanes[lane] ^ word) * 0x9e3779b97f4a7c15u; /* odd: no bit is lost */
            lanes[lane] ^= lanes[lane] >> 32;
        }
    for (unsigned lane = 0; lane < LANES; lane++)
        sum = (sum ^ lanes[lane]) * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < octets % (8 * LANES); i++)
        sum = (sum ^ data[i]) * 0x9e3779b97f4a7c15u;
    return sum ^ sum >> 32;
}
