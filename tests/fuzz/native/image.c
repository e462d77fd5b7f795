/* Whatever octets as an image. If it is taken, it is asked for names in it, and for names below. */
#include "sets.h"

enum { MOST_NODES = 16, QUERY_OCTETS = HEADER_OCTETS + MAX_NAME_OCTETS + 4 + 11, DO = 0x80 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t octets);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t octets, size_t most, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t octets, size_t most);

static size_t query(uint8_t *out, const uint8_t *front, size_t front_octets, const uint8_t *name, size_t name_octets,
                    unsigned qtype, unsigned payload) {
    static const uint8_t header[HEADER_OCTETS] = {0x12, 0x34, 1, 0x10, 0, 1};
    memcpy(out, header, HEADER_OCTETS);
    size_t end = HEADER_OCTETS;
    memcpy(out + end, front, front_octets);
    end += front_octets;
    memcpy(out + end, name, name_octets);
    end += name_octets;
    put_net16(out + end, qtype);
    put_net16(out + end + 2, 1);
    end += 4;
    if (payload) {
        uint8_t opt[11] = {0, 0, 41, (uint8_t)(payload >> 8), (uint8_t)payload, 0, 0, DO};
        out[HEADER_OCTETS - 1] = 1;
        memcpy(out + end, opt, sizeof opt);
        end += sizeof opt;
    }
    return end;
}

/* The name itself, a name below it, and the longest ones: of one label, of as many as can be. For each type over one of
 * the transports, which the image chooses: `choice`. */
static void ask_around(const struct zone_set *zones, const uint8_t *name, size_t octets, uint32_t choice) {
    const struct client client = {.address_octets = 4};
    static const unsigned types[] = {1, 33, 43, 255};
    static const struct limits limits[] = {{.payload = 512}, {.payload = 4096}, {.payload = 1232, .tcp = 1}};
    static const uint16_t payloads[] = {0, 512, 4096};
    uint8_t fronts[3][MAX_NAME_OCTETS], request[QUERY_OCTETS];
    size_t room = MAX_NAME_OCTETS - octets, lengths[4] = {0, room < 2 ? 0 : 2, room < 64 ? 0 : 64, room & ~(size_t)1};
    memset(fronts[0], 'q', MAX_NAME_OCTETS);
    memset(fronts[1], 'q', MAX_NAME_OCTETS);
    memset(fronts[2], 1, MAX_NAME_OCTETS); /* each label is this octet */
    fronts[0][0] = 1;
    fronts[1][0] = MAX_LABEL_OCTETS;
    for (size_t kind = 0; kind < 4; kind++)
        for (size_t type = 0; type < sizeof types / sizeof types[0]; type++) {
            uint32_t transport = choice++ % 3;
            size_t end = query(request, fronts[kind ? kind - 1 : 0], lengths[kind], name, octets, types[type],
                               payloads[transport]);
            ask(zones, &limits[transport], &client, WITHIN, request, end);
        }
}

static uint32_t mixed(const uint8_t *data, size_t octets) {
    uint32_t found = 2166136261u;
    for (size_t i = 0; i < octets; i++)
        found = (found ^ data[i]) * 16777619u;
    return found >> 8;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t octets) {
    struct image image;
    if (!load(&image, data, octets))
        return 0;
    struct zone_set *zones = no_zones(2);
    publish(zones, &image, &image);
    uint32_t choice = mixed(data, octets);
    size_t at = get32(data + IMAGE_FIRST_NODE);
    for (uint32_t i = 0; i < image.nodes && i < MOST_NODES; i++) {
        ask_around(zones, data + at + NODE_NAME, data[at + NODE_NAME_OCTETS], choice + i);
        at += get32(data + at + NODE_EXTENT);
    }
    free(zone_slot(zones, image.apex, image.apex_octets)->apex);
    free(zones);
    free(image.slots);
    return 0;
}

/* ---- mutations ---- */

struct input {
    const uint8_t *data;
    size_t octets;
    uint64_t random;
};

/* Below `bound`. */
static size_t any(struct input *input, size_t bound) {
    input->random = input->random * 6364136223846793005u + 1442695040888963407u;
    return bound ? (size_t)(input->random >> 33) % bound : 0;
}

/* A number of the image, which need not be sound; 0 outside it. */
static size_t number(const struct input *input, size_t at, size_t width) {
    if (at > input->octets || input->octets - at < width)
        return 0;
    return width == 4 ? get32(input->data + at) : width == 2 ? get16(input->data + at) : input->data[at];
}

/* Where one of the fields of a plan is. */
static size_t field_of_plan(struct input *input, size_t plan) {
    size_t pointers = number(input, plan + PLAN_POINTERS, 2), stops = number(input, plan + PLAN_STOPS, 2);
    size_t stops_at = plan + PLAN_OFFSETS + 2 * pointers, open = stops_at + STOP_SIZE * stops;
    switch (any(input, 5)) {
    case 0:
        return plan + PLAN_OFFSETS + 2 * any(input, pointers);
    case 1:
        return stops_at + STOP_SIZE * any(input, stops);
    case 2:
        return open + 2 * any(input, 5);
    case 3: /* what is proven, or pushed */
        return open + OPEN_OFFSETS + 2 * any(input, 2 * number(input, open + OPEN_PROVEN, 2) + 8);
    default:
        return plan + 2 * any(input, PLAN_OFFSETS / 2);
    }
}

/* Where one of the fields is: of the header, a proof, a node, a table, a plan. */
static size_t field(struct input *input) {
    size_t node = number(input, IMAGE_FIRST_NODE, 4);
    if (!any(input, 12))
        return IMAGE_NODES + any(input, IMAGE_APEX - IMAGE_NODES);
    if (!any(input, 6)) {
        size_t proof = number(input, IMAGE_PROOFS_AT, 4) + PROOF_SIZE * any(input, number(input, IMAGE_PROOFS, 4));
        if (!any(input, 3)) /* the length of its first record, or one near it */
            return number(input, proof + PROOF_RECORDS_AT, 4) + any(input, 4);
        return proof + 2 * any(input, PROOF_SIZE / 2);
    }
    for (size_t skipped = any(input, number(input, IMAGE_NODES, 4)); skipped && skipped < 1000; skipped--)
        node += number(input, node + NODE_EXTENT, 4);
    if (!any(input, 6))
        return node + any(input, NODE_NAME);
    size_t table = number(input, node + NODE_AT + 4 * any(input, 2 * VIEWS), 4);
    size_t entry = table + TABLE_ENTRIES + ENTRY_OCTETS * any(input, number(input, table + TABLE_COUNT, 2));
    switch (any(input, 8)) {
    case 0:
        return table;
    case 1:
        return entry;
    default:
        return field_of_plan(input, number(input, entry + ENTRY_PLAN, 4));
    }
}

/* A word anywhere or, mostly, a field becomes an extreme, or a word of the image or one near it. Else the generic
 * mutator. An image has the length that it says. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t octets, size_t most, unsigned seed) {
    static const uint32_t extremes[] = {0,      1,      2,       22,      255,        600,         0x7fff,
                                        0xfffe, 0xffff, 0x10000, 0x10001, 0x7fffffff, 0xfffffff0u, 0xffffffffu};
    static const uint32_t distances[] = {0, 0, 1, 0xffffffffu, 2, 6, 12, 16};
    struct input input = {data, octets, seed};
    any(&input, 1);
    if (!any(&input, 4) || octets < IMAGE_APEX)
        octets = LLVMFuzzerMutate(data, octets, most);
    else {
        size_t at = any(&input, 8) ? field(&input) : any(&input, octets);
        uint32_t value = extremes[any(&input, sizeof extremes / sizeof extremes[0])];
        if (any(&input, 2))
            value = (uint32_t)number(&input, any(&input, 2) ? at : any(&input, octets), 4) + distances[any(&input, 8)];
        for (size_t i = 0, width = (size_t)1 << any(&input, 3); i < width && at + i < octets; i++)
            data[at + i] = (uint8_t)(value >> 8 * i);
    }
    if (octets >= IMAGE_APEX) {
        memcpy(data, IMAGE_MAGIC, 8);
        for (size_t i = 0; i < 4; i++)
            data[IMAGE_OCTETS + i] = (uint8_t)(octets >> 8 * i);
    }
    return octets;
}
