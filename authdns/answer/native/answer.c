/* From the octets of a request to those of its response: the ladder of answer/respond.py, on images.
 *
 * No globals, no allocation, no Python. What this file cannot answer it declines: other opcodes than QUERY, TSIG, class
 * CH, transfers, zones that are not in the engine, names whose answers depend on more than an image holds (DNAME), and
 * those that have changed since it was made. */
#include "engine.h"

#include <string.h>

enum {
    QR = 0x8000,
    AA = 0x0400,
    TC = 0x0200,
    RD = 0x0100,
    CD = 0x0010,
    OPCODE = 0x7800,

    NOERROR = 0,
    FORMERR = 1,
    NOTIMP = 4,
    REFUSED = 5,
    BADVERS = 16,
    BADCOOKIE = 23,

    TYPE_SOA = 6,
    TYPE_OPT = 41,
    TYPE_DS = 43,
    TYPE_TKEY = 249,
    TYPE_TSIG = 250,
    TYPE_IXFR = 251,
    TYPE_AXFR = 252,
    TYPE_MAILB = 253,
    TYPE_MAILA = 254,
    CLASS_IN = 1,
    CLASS_CH = 3,

    PLAIN_UDP_OCTETS = 512, /* RFC 1035 section 4.2.1; also the least that EDNS may say (RFC 6891 section 6.2.3) */
    MAX_POINTERS = 16,
    MAX_OPTIONS = 64,
    OPTION_NSID = 3,
    OPTION_EXPIRE = 9,
    OPTION_COOKIE = 10,
    OPT_OCTETS = 11, /* without options */
    FIXED_OCTETS = 10, /* of a record: type, class, TTL, RDLENGTH */
    POINTERS_END = 0x4000,
    CACHE_LINE_OCTETS = 64,
    HALVING_LABELS = 6 /* from so many on, halving finds the closest encloser sooner than going up */
};

/* ---- names ---- */

static uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_label(uint64_t above, const uint8_t *label) {
    size_t left = (size_t)label[0] + 1;
    uint64_t hash = above;
    while (left) {
        uint8_t word[8] = {0};
        size_t taken = left < 8 ? left : 8;
        memcpy(word, label, taken);
        uint64_t value;
        memcpy(&value, word, 8);
        hash = fold(hash ^ value, 0x9e3779b97f4a7c15u) + left;
        label += taken;
        left -= taken;
    }
    return hash;
}

uint64_t hash_name(uint64_t seed, const uint8_t *name) {
    uint8_t starts[MAX_LABELS + 1];
    unsigned labels = 0, position = 0;
    while (name[position]) {
        starts[labels++] = (uint8_t)position;
        position += name[position] + 1u;
    }
    uint64_t hash = seed;
    while (labels-- > 0)
        hash = hash_label(hash, name + starts[labels]);
    return hash;
}

/* The octets of the name at `at`, of at most `room`; 0 if there is none. */
static unsigned name_octets(const uint8_t *at, size_t room) {
    size_t position = 0;
    if (room > MAX_NAME_OCTETS)
        room = MAX_NAME_OCTETS;
    while (position < room) {
        unsigned length = at[position];
        if (!length)
            return (unsigned)position + 1;
        if (length > MAX_LABEL_OCTETS)
            return 0;
        position += length + 1;
    }
    return 0;
}

static void read_name(struct name *name, const uint8_t *at, unsigned length, uint64_t seed) {
    unsigned labels = 0, position = 0;
    for (unsigned i = 0; i < length; i++) {
        unsigned octet = at[i];
        name->octets[i] = (uint8_t)(octet - 'A' < 26u ? octet + 32 : octet); /* lengths are below 'A' */
    }
    while (name->octets[position]) {
        name->starts[labels++] = (uint8_t)position;
        position += name->octets[position] + 1u;
    }
    name->starts[labels] = (uint8_t)position;
    name->length = length;
    name->labels = labels;
    uint64_t hash = name->hashes[labels] = seed;
    for (unsigned i = labels; i-- > 0;)
        hash = name->hashes[i] = hash_label(hash, name->octets + name->starts[i]);
}

/* ---- what is at a name ---- */

const struct image NO_ZONE[1];
const struct image NO_IMAGE[1];

struct zone_slot *zone_slot(struct zone_set *zones, const uint8_t *apex, unsigned octets) {
    uint64_t hash = hash_name(zones->seed, apex) | 1;
    for (uint32_t place = (uint32_t)(hash >> 32);; place++) {
        struct zone_slot *slot = &zones->slots[place & zones->mask];
        if (!slot->hash || (slot->hash == hash && slot->apex_octets == octets && !memcmp(slot->apex, apex, octets)))
            return slot;
    }
}

static const struct image *zone_at(const struct zone_set *zones, const struct name *name, unsigned label) {
    uint64_t hash = name->hashes[label] | 1;
    const uint8_t *octets = name->octets + name->starts[label];
    unsigned length = name->length - name->starts[label];
    for (uint32_t place = (uint32_t)(hash >> 32);; place++) {
        const struct zone_slot *slot = &zones->slots[place & zones->mask];
        uint64_t taken = __atomic_load_n(&slot->hash, __ATOMIC_ACQUIRE);
        if (!taken)
            return NO_ZONE;
        if (taken == hash && slot->apex_octets == length && !memcmp(slot->apex, octets, length))
            return __atomic_load_n(&slot->image, __ATOMIC_ACQUIRE);
    }
}

/* The longest match from `label` on (RFC 1034 section 4.3.2 step 2); DS at an apex is for a zone above it, if we serve
 * one (RFC 4035 section 3.1.4.1). */
static const struct image *find_zone(const struct zone_set *zones, const struct name *name, unsigned qtype,
                                     unsigned *apex) {
    const struct image *child = NO_ZONE;
    for (unsigned label = 0; label <= name->labels; label++) {
        const struct image *found = zone_at(zones, name, label);
        if (found == NO_ZONE)
            continue;
        *apex = label;
        if (qtype != TYPE_DS || label)
            return found;
        child = found;
    }
    return child;
}

/* The node of the name from `label` on, or 0. */
static uint32_t node_at(const struct image *image, const struct name *name, unsigned label) {
    uint64_t hash = name->hashes[label];
    uint32_t tag = (uint32_t)(hash >> 32);
    const uint8_t *octets = name->octets + name->starts[label];
    unsigned length = name->length - name->starts[label];
    for (uint32_t place = (uint32_t)hash & image->mask;; place = (place + 1) & image->mask) {
        const struct slot *slot = &image->slots[place];
        if (!slot->node)
            return 0;
        if (slot->tag == tag) {
            const uint8_t *node = image->data + slot->node;
            if (node[NODE_NAME_OCTETS] == length && !memcmp(node + NODE_NAME, octets, length))
                return slot->node;
        }
    }
}

/* As node_at, of a name that exists. */
static uint32_t existing_at(const struct image *image, const struct name *name, unsigned label) {
    uint32_t node = node_at(image, name, label);
    return node && !(image->data[node + NODE_FLAGS] & NODE_ALONE) ? node : 0;
}

/* The closest encloser (RFC 4592 section 3.3.1) of a name that does not exist. Every ancestor of an existing name exists,
 * and the apex does. */
static uint32_t closest_encloser(const struct image *image, const struct name *name, unsigned apex) {
    unsigned low = 1, high = apex;
    if (apex > HALVING_LABELS) {
        while (low < high) {
            unsigned middle = (low + high) / 2;
            if (existing_at(image, name, middle))
                high = middle;
            else
                low = middle + 1;
        }
        return existing_at(image, name, low);
    }
    for (; low <= high; low++) {
        uint32_t node = existing_at(image, name, low);
        if (node)
            return node;
    }
    return 0;
}

static const uint8_t *plan_for(const struct image *image, uint32_t table, unsigned qtype) {
    if (!table)
        return NULL;
    const uint8_t *at = image->data + table;
    unsigned count = get16(at + TABLE_COUNT);
    uint32_t plan = get32(at + TABLE_ENTRIES + ENTRY_PLAN);
    for (unsigned i = 1; i < count; i++) {
        const uint8_t *entry = at + TABLE_ENTRIES + i * ENTRY_OCTETS;
        if (get16(entry + ENTRY_TYPE) == qtype) {
            plan = get32(entry + ENTRY_PLAN);
            break;
        }
    }
    return plan ? image->data + plan : NULL;
}

/* Whether a name, or one above it and below the apex, has changed since the image was made. The apex is above them all:
 * what has changed there is not below it. */
static int is_changed(const struct image *image, const struct name *name, unsigned apex) {
    unsigned label = 0;
    do {
        uint64_t hash = name->hashes[label] | 1, found;
        uint32_t place = (uint32_t)(hash >> 32) & image->changed_mask;
        while ((found = image->changed[place]) != 0) { /* at least every other place is free */
            if (found == hash)
                return 1; /* or, once in a blue moon, declined without need */
            place = (place + 1) & image->changed_mask;
        }
    } while (++label < apex);
    return 0;
}

/* ---- the proof that the next closer name does not exist ---- */

/* Sorting by this gives DNSSEC's canonical order (RFC 4034 section 6.1): as wire/name.py has it. */
static size_t canonical_key(const uint8_t *name, uint8_t *key) {
    uint8_t starts[MAX_LABELS + 1];
    unsigned labels = 0, position = 0;
    size_t octets = 0;
    while (name[position]) {
        starts[labels++] = (uint8_t)position;
        position += name[position] + 1u;
    }
    while (labels-- > 0) {
        const uint8_t *label = name + starts[labels];
        for (unsigned i = 1; i <= label[0]; i++) {
            if (label[i] > 1)
                key[octets++] = label[i];
            else {
                key[octets++] = 1;
                key[octets++] = label[i] + 1;
            }
        }
        key[octets++] = 0;
    }
    return octets;
}

static int compare(const uint8_t *one, size_t one_octets, const uint8_t *other, size_t other_octets) {
    int order = memcmp(one, other, one_octets < other_octets ? one_octets : other_octets);
    return order ? order : (one_octets > other_octets) - (one_octets < other_octets);
}

/* Which proof covers a name: the one at or before it; before the first one the last one. */
static uint32_t covering(const struct image *image, const uint8_t *name, size_t octets) {
    uint8_t key[2 * MAX_NAME_OCTETS];
    size_t key_octets = image->key_octets;
    if (key_octets)
        nsec3_hash(name, octets, image->salt, image->salt_octets, image->iterations, key);
    else
        key_octets = canonical_key(name, key);
    uint32_t low = 0, high = image->proofs;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const uint8_t *proof = image->data + image->proofs_at + (size_t)middle * PROOF_SIZE;
        if (compare(key, key_octets, image->data + get32(proof + PROOF_KEY), get16(proof + PROOF_KEY_OCTETS)) < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low ? low - 1 : image->proofs - 1;
}

/* ---- responses ---- */

/* Room for a name of 255 octets, header and OPT; whoever calls `answer` has it. */
static size_t put_head(const struct request *request, unsigned flags, const uint32_t counts[3], uint8_t *out) {
    out[0] = request->octets[0];
    out[1] = request->octets[1];
    put_net16(out + 2, flags | (request->flags & (RD | CD)));
    put_net16(out + 4, request->question_octets != 0);
    put_net16(out + 6, counts[0]);
    put_net16(out + 8, counts[1]);
    put_net16(out + 10, counts[2] + (request->edns.present != 0));
    memcpy(out + HEADER_OCTETS, request->octets + HEADER_OCTETS, request->question_octets);
    return HEADER_OCTETS + request->question_octets;
}

/* What the first option with that code holds; NULL if there is none, or not all of it. Also of options that are too many:
 * then it is FORMERR, with what the first ones asked for. */
static const uint8_t *find_option(const struct edns *edns, unsigned code, size_t *data_octets) {
    size_t position = 0;
    for (unsigned i = 0; i < MAX_OPTIONS && position + 4 <= edns->options_octets; i++) {
        size_t octets = net16(edns->options + position + 2);
        if (net16(edns->options + position) == code) {
            *data_octets = octets;
            return position + 4 + octets <= edns->options_octets ? edns->options + position + 4 : NULL;
        }
        position += 4 + octets;
    }
    return NULL;
}

/* What COOKIE says (RFC 7873 section 5.2), if there is one that can be read. */
static void read_cookie(struct request *request, const struct client *client) {
    size_t octets;
    const struct edns *edns = &request->edns;
    if (!client->secrets || !edns->present || edns->version || !edns->options_octets)
        return;
    const uint8_t *asked = find_option(edns, OPTION_COOKIE, &octets);
    if (asked)
        answer_cookie(&request->cookie, client->secrets, client, asked, octets);
}

static int has_nsid(const struct edns *edns, const struct limits *limits) {
    size_t unused;
    return limits->nsid_octets && edns->version == 0 && find_option(edns, OPTION_NSID, &unused);
}

static size_t opt_octets(const struct request *request, const struct limits *limits) {
    if (!request->edns.present)
        return 0;
    size_t octets = OPT_OCTETS;
    if (has_nsid(&request->edns, limits))
        octets += limits->nsid_octets;
    if (request->cookie.state > COOKIE_MALFORMED)
        octets += 4 + COOKIE_OCTETS;
    return octets;
}

/* OPT of a response (RFC 6891 section 6.1): version 0, DO copied (RFC 3225 section 3). */
static size_t put_opt(const struct request *request, const struct limits *limits, unsigned rcode, uint8_t *out) {
    const struct edns *edns = &request->edns;
    if (!edns->present)
        return 0;
    size_t end = OPT_OCTETS;
    out[0] = 0;
    put_net16(out + 1, TYPE_OPT);
    put_net16(out + 3, limits->payload);
    out[5] = (uint8_t)(rcode >> 4);
    out[6] = 0;
    out[7] = edns->dnssec_ok ? 0x80 : 0;
    out[8] = 0;
    if (has_nsid(edns, limits)) {
        memcpy(out + end, limits->nsid, limits->nsid_octets);
        end += limits->nsid_octets;
    }
    if (request->cookie.state > COOKIE_MALFORMED) {
        put_net16(out + end, OPTION_COOKIE);
        put_net16(out + end + 2, COOKIE_OCTETS);
        memcpy(out + end + 4, request->cookie.octets, COOKIE_OCTETS);
        end += 4 + COOKIE_OCTETS;
    }
    put_net16(out + 9, (uint32_t)(end - OPT_OCTETS));
    return end;
}

/* A response without records. */
static int refuse(const struct request *request, const struct limits *limits, unsigned flags, unsigned rcode,
                  uint8_t *out) {
    static const uint32_t nothing[3] = {0, 0, 0};
    size_t end = put_head(request, QR | flags | (rcode & 15), nothing, out);
    return (int)(end + put_opt(request, limits, rcode, out + end));
}

/* Adds `delta` to each of the pointers in front of octet `end` of a body. */
static void move(uint8_t *body, const uint8_t *pointers, unsigned count, uint32_t end, int delta) {
    for (unsigned i = 0; i < count; i++) {
        uint32_t offset = get16(pointers + 2 * i);
        if (offset + 2 > end)
            return;
        put_net16(body + offset, net16(body + offset) + (uint32_t)delta);
    }
}

/* `name` at or below `above`, both lower-case names. */
static int is_at_or_below(const uint8_t *name, unsigned octets, const uint8_t *above, unsigned above_octets) {
    if (octets < above_octets || memcmp(name + octets - above_octets, above, above_octets) != 0)
        return 0;
    unsigned position = 0;
    while (position < octets - above_octets)
        position += name[position] + 1u;
    return position == octets - above_octets;
}

/* The records of a proof with their owner in front, the first at the message's octet `here`; compressed against the
 * question, which ends in the `base_octets` that the class knows, and not against the rest of the body. If `out` is NULL
 * they are only measured. */
static size_t put_proof(const struct image *image, const struct name *name, unsigned base_octets, size_t here,
                        const uint8_t *proof, uint8_t *out) {
    const uint8_t *owner = image->data + get32(proof + PROOF_OWNER);
    unsigned owner_octets = name_octets(owner, MAX_NAME_OCTETS);
    const uint8_t *records = image->data + get32(proof + PROOF_RECORDS_AT);
    unsigned count = get16(proof + PROOF_RECORDS);
    unsigned shared = base_octets;
    while (!is_at_or_below(owner, owner_octets, name->octets + name->length - shared, shared))
        shared -= name->octets[name->length - shared] + 1u;
    unsigned first = owner_octets - shared;
    int again = first && here < POINTERS_END;
    size_t octets = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned record = get16(records);
        if (i && again) {
            if (out)
                put_net16(out + octets, 0xC000u | (uint32_t)here);
            octets += 2;
        } else {
            if (out) {
                memcpy(out + octets, owner, first);
                put_net16(out + octets + first, 0xC000u | (HEADER_OCTETS + name->length - shared));
            }
            octets += first + 2;
        }
        if (out)
            memcpy(out + octets, records + 2, record);
        octets += record;
        records += 2 + record;
    }
    return octets;
}

static const uint8_t *next_closer(const struct name *name, unsigned encloser_octets) {
    unsigned label = name->labels;
    while (name->length - name->starts[label] <= encloser_octets)
        label--;
    return name->octets + name->starts[label];
}

static int respond(const struct image *image, const struct request *request, const struct name *name,
                   const struct limits *limits, const uint8_t *plan, uint8_t *out, size_t room) {
    size_t limit = limits->tcp ? MAX_RESPONSE_OCTETS : PLAIN_UDP_OCTETS;
    if (request->edns.present && !limits->tcp)
        limit = request->edns.payload < limits->payload ? request->edns.payload : limits->payload;
    if (limit > room)
        return DECLINED;
    unsigned pointers = get16(plan + PLAN_POINTERS), stops = get16(plan + PLAN_STOPS);
    uint32_t body_octets = get32(plan + PLAN_BODY_OCTETS);
    unsigned open = get16(plan + PLAN_OPEN);
    unsigned base_octets = get16(plan + PLAN_BASE_OCTETS);
    const uint8_t *pointer = plan + PLAN_OFFSETS, *stop = pointer + 2 * (size_t)pointers;
    const uint8_t *behind = stop + STOP_SIZE * (size_t)stops, *body = behind;
    const uint8_t *proof = NULL, *pushed = NULL;
    unsigned pushes = 0, number = 0;
    uint32_t opening = body_octets;
    size_t proof_octets = 0, body_at = HEADER_OCTETS + request->question_octets;
    if (open) {
        unsigned proven = get16(behind + OPEN_PROVEN);
        pushes = get16(behind + OPEN_PUSHED);
        number = get16(behind + OPEN_NUMBER);
        opening = get32(behind + OPEN_OPENING);
        pushed = behind + OPEN_OFFSETS + 4 * (size_t)proven;
        body = pushed + 2 * (size_t)pushes;
        const uint8_t *denied = next_closer(name, base_octets);
        uint32_t found = covering(image, denied, (size_t)(name->octets + name->length - denied));
        int known = 0;
        for (unsigned i = 0; i < proven; i++)
            known |= get32(behind + OPEN_OFFSETS + 4 * (size_t)i) == found;
        if (!known) {
            proof = image->data + image->proofs_at + (size_t)found * PROOF_SIZE;
            proof_octets = put_proof(image, name, base_octets, body_at + opening, proof, NULL);
            if (pushes && body_at + body_octets + proof_octets >= POINTERS_END) {
                stops = number + 1; /* additional records may be left out (RFC 2181 section 9) */
                body_octets = opening;
            }
        }
    }
    uint32_t records = proof ? get16(proof + PROOF_RECORDS) : 0;
    size_t opt = opt_octets(request, limits);
    unsigned truncated = 0, flags = get16(plan + PLAN_FLAGS);
    uint32_t counts[3];
    const uint8_t *last = stop + STOP_SIZE * (size_t)(stops - 1);
    if (body_at + body_octets + proof_octets + opt > limit) {
        size_t left = limit - body_at - opt;
        for (unsigned place = stops; place-- > 0;) {
            last = stop + STOP_SIZE * (size_t)place;
            uint32_t octets = get32(last + STOP_OCTETS);
            truncated = last[STOP_TRUNCATED];
            if (place >= number && octets + proof_octets <= left) {
                body_octets = octets;
                break;
            }
            if (place <= number && octets <= left) {
                body_octets = octets;
                truncated |= proof != NULL;
                proof = NULL;
                proof_octets = 0;
                records = 0;
                break;
            }
        }
    }
    counts[0] = get16(last + STOP_COUNTS);
    counts[1] = get16(last + STOP_COUNTS + 2) + records;
    counts[2] = get16(last + STOP_COUNTS + 4);
    size_t end = put_head(request, flags | (truncated ? TC : 0), counts, out);
    if (opening > body_octets)
        opening = body_octets;
    int delta = (int)name->length - (int)base_octets;
    if (proof) {
        memcpy(out + end, body, body_octets);
        move(out + end, pointer, pointers, body_octets, delta);
        if (pushes)
            move(out + end, pushed, pushes, body_octets, (int)proof_octets);
        memmove(out + end + opening + proof_octets, out + end + opening, body_octets - opening);
        put_proof(image, name, base_octets, body_at + opening, proof, out + end + opening);
    } else {
        memcpy(out + end, body, body_octets);
        if (delta)
            move(out + end, pointer, pointers, body_octets, delta);
    }
    end += body_octets + proof_octets;
    return (int)(end + put_opt(request, limits, 0, out + end));
}

/* ---- requests ---- */

/* The offset behind the owner of an additional record, or 0: as wire/query.py's _expand. */
static size_t skip_owner(const uint8_t *wire, size_t octets, size_t start) {
    size_t position = start, before = start, end = 0;
    unsigned found = 0, hops = 0;
    while (position < octets) {
        unsigned length = wire[position];
        if (length <= MAX_LABEL_OCTETS) {
            size_t next = position + length + 1;
            found += (unsigned)((next < octets ? next : octets) - position);
            position = next;
            if (found > MAX_NAME_OCTETS)
                return 0;
            if (!length)
                return end ? end : position;
            continue;
        }
        if (position + 1 == octets)
            return 0; /* wherever it may lead, nothing is behind it */
        size_t target = (size_t)(length & 0x3F) << 8 | wire[position + 1];
        if (!end)
            end = position + 2;
        if (length < 0xC0 || target < HEADER_OCTETS || target >= before || ++hops > MAX_POINTERS)
            return 0;
        position = before = target;
    }
    return 0;
}

enum outcome { SOUND, MALFORMED, FOR_PYTHON };

/* OPT at most once (RFC 6891 section 6.1.1), nothing behind it; what has TSIG is not for us. */
static enum outcome read_additional(const uint8_t *wire, size_t octets, size_t end, unsigned count, struct edns *edns) {
    if (count > 2)
        return MALFORMED;
    for (unsigned i = 0; i < count; i++) {
        size_t start = end, owner_end = skip_owner(wire, octets, start);
        if (!owner_end || owner_end + FIXED_OCTETS > octets)
            return MALFORMED;
        unsigned type = net16(wire + owner_end);
        size_t rdata_at = owner_end + FIXED_OCTETS;
        end = rdata_at + net16(wire + rdata_at - 2);
        if (end > octets)
            return MALFORMED;
        if (type == TYPE_OPT && !edns->present) {
            if (owner_end - start != 1)
                return MALFORMED;
            unsigned payload = net16(wire + owner_end + 2);
            edns->present = 1;
            edns->payload = payload < PLAIN_UDP_OCTETS ? PLAIN_UDP_OCTETS : payload;
            edns->version = wire[owner_end + 5];
            edns->dnssec_ok = wire[owner_end + 6] >> 7;
            edns->options = wire + rdata_at;
            edns->options_octets = end - rdata_at;
            size_t position = rdata_at;
            for (unsigned options = 0; position < end && options < MAX_OPTIONS; options++) {
                if (position + 4 > end)
                    position = octets + 1; /* cut off */
                else
                    position += 4 + net16(wire + position + 2);
            }
            if (position != end)
                return MALFORMED;
        } else if (type == TYPE_TSIG)
            return FOR_PYTHON;
        else
            return MALFORMED;
    }
    return end == octets ? SOUND : MALFORMED;
}

/* What is to become of a request, as far as its octets say; where a zone is to be asked, what it will be asked. */
static enum step decide(struct job *job, const struct zone_set *zones, const uint8_t *wire, size_t octets) {
    struct request *request = &job->request;
    job->qtype = NO_TYPE;
    if (octets < HEADER_OCTETS || wire[2] & (QR >> 8))
        return DROP;
    *request = (struct request){.octets = wire, .flags = net16(wire + 2)};
    if (request->flags & OPCODE)
        return DECLINE;
    unsigned arcount = net16(wire + 10);
    job->rcode = FORMERR;
    if (net16(wire + 4) != 1) {
        if (!net16(wire + 4) && !net16(wire + 6) && !net16(wire + 8)) {
            enum outcome outcome = read_additional(wire, octets, HEADER_OCTETS, arcount, &request->edns);
            if (outcome == FOR_PYTHON)
                return DECLINE;
            job->cookie_alone = outcome == SOUND;
        }
        return REFUSE;
    }
    unsigned length = name_octets(wire + HEADER_OCTETS, octets - HEADER_OCTETS);
    size_t end = HEADER_OCTETS + (size_t)length + 4;
    if (!length || end > octets)
        return REFUSE;
    request->question_octets = end - HEADER_OCTETS;
    unsigned qtype = net16(wire + end - 4), qclass = net16(wire + end - 2);
    job->qtype = qtype;
    if (qtype == TYPE_IXFR || qtype == TYPE_AXFR)
        return DECLINE;
    if (net16(wire + 6) || net16(wire + 8))
        return REFUSE;
    switch (read_additional(wire, octets, end, arcount, &request->edns)) {
    case FOR_PYTHON:
        return DECLINE;
    case MALFORMED:
        return REFUSE;
    case SOUND:
        break;
    }
    if (request->edns.version) {
        job->rcode = BADVERS; /* RFC 6891 section 6.1.3 */
        return REFUSE;
    }
    if (qclass == CLASS_CH)
        return DECLINE;
    size_t unused;
    if (qtype == TYPE_SOA && request->edns.present && find_option(&request->edns, OPTION_EXPIRE, &unused))
        return DECLINE; /* RFC 7314: how long a zone may be served changes by the second */
    job->rcode = REFUSED;
    if (qclass != CLASS_IN)
        return REFUSE;
    if (qtype == TYPE_MAILA || qtype == TYPE_MAILB || qtype == TYPE_TKEY) {
        job->rcode = NOTIMP;
        return REFUSE;
    }
    if (qtype == TYPE_TSIG || qtype == TYPE_OPT) {
        job->rcode = FORMERR;
        return REFUSE;
    }
    read_name(&job->name, wire + HEADER_OCTETS, length, zones->seed);
    job->image = find_zone(zones, &job->name, qtype, &job->apex);
    return job->image == NO_ZONE ? REFUSE : job->image == NO_IMAGE ? DECLINE : LOOK_UP;
}

void begin(struct job *job, const struct zone_set *zones, const struct client *client, const uint8_t *wire,
           size_t octets) {
    struct request *request = &job->request;
    request->cookie.state = COOKIE_NONE;
    job->cookie_alone = 0;
    job->limited = WITHIN;
    job->step = decide(job, zones, wire, octets);
    if (job->step == LOOK_UP)
        __builtin_prefetch(&job->image->slots[(uint32_t)job->name.hashes[0] & job->image->mask]);
    if (job->step < REFUSE || !request->edns.present)
        return;
    read_cookie(request, client);
    if (request->cookie.state == COOKIE_MALFORMED) { /* RFC 7873 section 5.2.2 */
        job->step = REFUSE;
        job->rcode = FORMERR;
    } else if (job->cookie_alone && request->cookie.state != COOKIE_NONE) /* ibid., section 5.4 */
        job->rcode = request->cookie.state == COOKIE_INVALID ? BADCOOKIE : NOERROR;
}

void prepare(const struct job *job) {
    if (job->step != LOOK_UP)
        return;
    const struct slot *slot = &job->image->slots[(uint32_t)job->name.hashes[0] & job->image->mask];
    if (slot->node) { /* most likely the right one; if not, nothing is lost */
        __builtin_prefetch(job->image->data + slot->node);
        __builtin_prefetch(job->image->data + slot->node + CACHE_LINE_OCTETS);
    }
}

int locate(struct job *job) {
    if (job->step != LOOK_UP)
        return job->step == REFUSE;
    const struct image *image = job->image;
    if (__builtin_expect(image->changed != NULL, 0) && is_changed(image, &job->name, job->apex)) {
        job->step = DECLINE;
        return 0;
    }
    uint32_t node = node_at(image, &job->name, 0);
    unsigned tables = NODE_AT;
    if (!node) {
        node = closest_encloser(image, &job->name, job->apex);
        tables = NODE_BELOW;
    }
    uint32_t table = node ? get32(image->data + node + tables + (job->request.edns.dnssec_ok ? 4 : 0)) : 0;
    job->plan = plan_for(image, table, job->qtype);
    if (!job->plan)
        job->step = DECLINE;
    return job->plan != NULL;
}

int finish(struct job *job, const struct limits *limits, uint8_t *out, size_t room) {
    if (job->step == DROP)
        return DROPPED;
    if (job->step == DECLINE || room < PLAIN_UDP_OCTETS || limits->payload < PLAIN_UDP_OCTETS ||
        limits->nsid_octets > MAX_NSID_OCTETS)
        return DECLINED; /* or there would not always be room for the question and OPT */
    if (job->limited == LIMITED_DROPPED)
        return DROPPED;
    if (job->step == REFUSE)
        return refuse(&job->request, limits, 0, job->rcode, out);
    if (job->limited == LIMITED_TRUNCATED) {
        job->rcode = NOERROR;
        return refuse(&job->request, limits, TC, NOERROR, out);
    }
    job->rcode = get16(job->plan + PLAN_FLAGS) & 15;
    return respond(job->image, &job->request, &job->name, limits, job->plan, out, room);
}
