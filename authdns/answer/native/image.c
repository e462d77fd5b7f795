/* Loading an image: every offset in it is looked at once, here, so that answer.c may trust them all. */
#include "engine.h"

#include <string.h>

static int inside(const struct image *image, uint64_t at, uint64_t octets) {
    return at <= image->octets && octets <= image->octets - at;
}

/* Whether a name of so many octets is at `at`, lower-case, its labels ending where it ends. */
static int is_name(const struct image *image, uint64_t at, unsigned octets) {
    if (!octets || octets > MAX_NAME_OCTETS || !inside(image, at, octets))
        return 0;
    unsigned position = 0;
    for (;;) {
        if (position >= octets)
            return 0;
        unsigned length = image->data[at + position];
        if (length > MAX_LABEL_OCTETS)
            return 0;
        position += length + 1;
        if (!length)
            break;
    }
    if (position != octets)
        return 0;
    for (unsigned i = 0; i < octets; i++)
        if ((unsigned)image->data[at + i] - 'A' < 26u)
            return 0;
    return 1;
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

/* `node` is the node that the plan answers for, or, if `below`, for the names below it. */
static const char *check_plan(const struct image *image, uint64_t at, const uint8_t *node, int below) {
    if (!inside(image, at, PLAN_OFFSETS))
        return "a plan is cut off";
    const uint8_t *plan = image->data + at;
    unsigned pointers = get16(plan + PLAN_POINTERS), stops = get16(plan + PLAN_STOPS);
    uint32_t body_octets = get32(plan + PLAN_BODY_OCTETS);
    unsigned base_octets = get16(plan + PLAN_BASE_OCTETS);
    uint64_t stop_at = at + PLAN_OFFSETS + 2 * (uint64_t)pointers, end = stop_at + STOP_SIZE * (uint64_t)stops;
    if (!inside(image, at, end - at) || !stops)
        return "a plan is cut off, or cannot stop";
    if (!is_suffix(node + NODE_NAME, node[NODE_NAME_OCTETS], base_octets))
        return "the base of a plan is no suffix of the name that it is for";
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
        if (!below && base_octets == node[NODE_NAME_OCTETS])
            return "an open plan denies a name that exists";
        const char *wrong = check_open(image, end, stop, stops, body_octets, &end);
        if (wrong)
            return wrong;
    }
    return inside(image, end, body_octets) ? NULL : "the body of a plan is cut off";
}

static const char *check_table(const struct image *image, uint64_t at, const uint8_t *node, int below) {
    if (!at)
        return NULL;
    if (!inside(image, at, TABLE_ENTRIES))
        return "a table is cut off";
    unsigned count = get16(image->data + at + TABLE_COUNT);
    if (!count || !inside(image, at, TABLE_ENTRIES + (uint64_t)ENTRY_OCTETS * count))
        return "a table is cut off, or empty";
    for (unsigned i = 0; i < count; i++) {
        uint32_t plan = get32(image->data + at + TABLE_ENTRIES + (size_t)i * ENTRY_OCTETS + ENTRY_PLAN);
        const char *wrong = plan ? check_plan(image, plan, node, below) : NULL;
        if (wrong)
            return wrong;
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

static const char *check_node(const struct image *image, uint64_t at) {
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
        const char *wrong = check_table(image, get32(node + NODE_AT + 4 * view), node, 0);
        if (!wrong)
            wrong = check_table(image, get32(node + NODE_BELOW + 4 * view), node, 1);
        if (wrong)
            return wrong;
    }
    return NULL;
}

static const char *check_nodes(struct image *image) {
    uint64_t at = get32(image->data + IMAGE_FIRST_NODE);
    int apex = 0;
    if (at < IMAGE_APEX)
        return "the nodes begin in the header";
    for (uint32_t i = 0; i < image->nodes; i++) {
        const char *wrong = check_node(image, at);
        if (wrong)
            return wrong;
        apex |= image->data[at + NODE_NAME_OCTETS] == image->apex_octets && !image->data[at + NODE_FLAGS];
        uint32_t extent = get32(image->data + at + NODE_EXTENT);
        if (extent < NODE_NAME)
            return "a node has no extent";
        at += extent;
    }
    return apex ? NULL : "there is no apex";
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
    uint32_t at = get32(image->data + IMAGE_FIRST_NODE);
    for (uint32_t i = 0; i < image->nodes; i++) {
        place(image, at, hash_name(seed, image->data + at + NODE_NAME));
        at += get32(image->data + at + NODE_EXTENT);
    }
}
