/* Whatever octets as a query, over images that Python wrote to the folder that AUTHDNS_IMAGES names.
 *
 * The input's first octet says which zones there are, the second what the limits are, the third how many secrets and
 * what becomes of who is limited, the next four the time and the client; the eighth is spare, the others are the query.
 * A cookie that came back is sent once more: it must be valid. */
#include <dirent.h>

#include "sets.h"

enum { MOST_ZONES = 30, SETS = 5, CHANGED = SETS - 1, SLOTS = 64, HEAD = 8 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t octets);

static struct image images[MOST_ZONES], changed[MOST_ZONES];
static unsigned known;
static struct zone_set *sets[SETS];

static void read_image(const char *folder, const char *name) {
    char path[4096];
    require(snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path, "the path is short");
    FILE *file = fopen(path, "rb");
    require(file != NULL && known < MOST_ZONES, "the image can be read");
    uint8_t *all = allocated(MOST_OCTETS);
    size_t octets = fread(all, 1, MOST_OCTETS, file);
    fclose(file);
    uint8_t *exact = allocated(octets);
    memcpy(exact, all, octets);
    free(all);
    require(load(&images[known++], exact, octets), "the image is sound");
}

static int is_image(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return dot && !strcmp(dot, ".image");
}

/* The same image, of which every fifth name has changed since; of every other one the apex as well. */
static void change(struct image *image, const struct image *base, int apex) {
    size_t places = 2, at = get32(base->data + IMAGE_FIRST_NODE);
    while (places < 2 * ((size_t)base->nodes + 1))
        places *= 2;
    *image = *base;
    image->changed_mask = (uint32_t)(places - 1);
    image->changed = allocated(places * sizeof *image->changed);
    for (uint32_t i = 0; i < base->nodes; i++) {
        const uint8_t *node = base->data + at;
        if (i % 5 == 3)
            require(image_change(image, node + NODE_NAME, node[NODE_NAME_OCTETS]), "a name of the zone can change");
        at += get32(node + NODE_EXTENT);
    }
    if (apex)
        require(image_change(image, base->apex, base->apex_octets), "the apex can change");
}

/* All zones; none; all but every third; every third is there, but not in the engine, another third is no more; all, but
 * changed. */
static void make_sets(void) {
    for (unsigned i = 0; i < known; i++)
        change(&changed[i], &images[i], i & 1);
    for (unsigned set = 0; set < SETS; set++) {
        sets[set] = no_zones(SLOTS);
        for (unsigned i = 0; i < known; i++) {
            if (set == 1 || (set == 2 && i % 3 == 0))
                continue;
            const struct image *found = set == CHANGED ? &changed[i] : &images[i];
            if (set == 3 && i % 3 < 2)
                found = i % 3 ? NO_IMAGE : NO_ZONE;
            publish(sets[set], &images[i], found);
        }
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    const char *folder = getenv("AUTHDNS_IMAGES");
    struct dirent **entries = NULL;
    int found = folder ? scandir(folder, &entries, is_image, alphasort) : 0;
    require(found > 0, "AUTHDNS_IMAGES names a folder with images");
    for (int i = 0; i < found; i++) {
        read_image(folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    make_sets();
    return 0;
}

/* A cookie that is made, whatever came, is valid when it comes back. */
static void check_cookie(struct client *client, const uint8_t *data, size_t octets) {
    struct cookie cookie = {0}, again = {0};
    if (!client->secrets)
        return;
    uint8_t *exact = allocated(octets);
    memcpy(exact, data, octets);
    answer_cookie(&cookie, client->secrets, client, exact, octets);
    if (cookie.state != COOKIE_MALFORMED) {
        answer_cookie(&again, client->secrets, client, cookie.octets, COOKIE_OCTETS);
        require(again.state == COOKIE_VALID, "a cookie that was made is valid");
        require(!memcmp(again.octets, cookie.octets, COOKIE_OCTETS), "a valid cookie that is not old comes back");
    }
    free(exact);
}

/* Two prefixes of a source in one bucket that is full of busier ones push each other out. */
static int are_apart(const struct places *places) {
    for (unsigned i = 0; i < places->count; i++)
        for (unsigned j = 0; j < i; j++)
            if (places->buckets[i] == places->buckets[j])
                return 0;
    return 1;
}

/* Whoever asks at whatever time: at most a burst is answered at once. */
static void check_limiter(const struct client *client, const uint8_t *data, size_t octets) {
    static struct limiter limiter = {
        .seed = SEED,
        .window = 5000,
        .prefixes = {{{32, 1000}, {24, 31}, {20, 3}, {18, 1}}, {{128, 1000}, {64, 500}, {56, 333}, {48, 250}, {32, 15}}},
        .known = {4, 5},
    };
    struct client each = *client;
    struct places places;
    for (size_t at = 0; at + 3 < octets && at < 64; at += 4) {
        memcpy(each.address + (each.address_octets - 2), data + at, 2);
        uint64_t now = (uint64_t)data[at + 2] << 56 | (uint64_t)data[at + 3] << 40;
        unsigned answered = 0;
        limiter_places(&limiter, &each, &places);
        while (answered <= 5 && !limiter_is_over(&limiter, &each, &places, now))
            answered++;
        require(answered <= 5 || !are_apart(&places), "no more than a burst is answered at once");
    }
}

/* An image with changes answers as without them, or declines. */
static void check_changes(const struct limits *limits, const struct client *client, const uint8_t *data,
                          size_t octets) {
    size_t room = limits->tcp ? MAX_RESPONSE_OCTETS : limits->payload;
    uint8_t *one = buffer_of(room, 0), *other = buffer_of(room, 1);
    struct job job;
    int all = ask_once(sets[0], limits, client, WITHIN, &job, data, octets, one, room);
    int some = ask_once(sets[CHANGED], limits, client, WITHIN, &job, data, octets, other, room);
    require(some == DECLINED || some == all, "declined, or as long as before");
    require(some < 0 || !memcmp(one, other, (size_t)some), "declined, or the same octets as before");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t octets) {
    static const uint16_t payloads[8] = {512, 513, 600, 1232, 1233, 1400, 4096, 65535};
    static const uint16_t nsid_octets[4] = {0, 4, 7, MAX_NSID_OCTETS};
    static const uint8_t nsid[MAX_NSID_OCTETS] = {0, 3, 0, MAX_NSID_OCTETS - 4, 'i'};
    if (octets < HEAD)
        return 0;
    struct limits limits = {
        .payload = payloads[data[1] & 7],
        .tcp = data[1] >> 3 & 1,
        .nsid_octets = nsid_octets[data[1] >> 4 & 3],
    };
    if (limits.nsid_octets)
        limits.nsid = nsid;
    struct secrets secrets = {.count = data[2] % (MAX_SECRETS + 1), .keys = {{1}, {2}, {3}, {4}}};
    struct client client = {
        .now = (uint32_t)data[3] << 24 | (uint32_t)data[4] << 16 | 0x5f00,
        .address_octets = data[5] & 1 ? 16 : 4,
        .secrets = secrets.count ? &secrets : NULL,
    };
    memset(client.address, data[6], sizeof client.address);
    check_limiter(&client, data, octets);
    enum limited limited = data[2] >> 4 & 3;
    ask(sets[data[0] % SETS], &limits, &client, limits.tcp ? WITHIN : limited, data + HEAD, octets - HEAD);
    check_changes(&limits, &client, data + HEAD, octets - HEAD);
    check_cookie(&client, data, octets);
    return 0;
}
