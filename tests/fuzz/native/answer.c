/* Whatever octets as a query, over images that Python wrote to the folder that AUTHDNS_IMAGES names.
 *
 * The input's first octet says which zones there are, the second what the limits are, the others are the query. */
#include <dirent.h>

#include "sets.h"

enum { MOST_ZONES = 30, SETS = 4, SLOTS = 64 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t octets);

static struct image images[MOST_ZONES];
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

/* All zones; none; all but every third; every third is there, but not in the engine, another third is no more. */
static void make_sets(void) {
    for (unsigned set = 0; set < SETS; set++) {
        sets[set] = no_zones(SLOTS);
        for (unsigned i = 0; i < known; i++) {
            if (set == 1 || (set == 2 && i % 3 == 0))
                continue;
            const struct image *found = &images[i];
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t octets) {
    static const uint16_t payloads[8] = {512, 513, 600, 1232, 1233, 1400, 4096, 65535};
    static const uint16_t nsid_octets[4] = {0, 4, 7, MAX_NSID_OCTETS};
    static const uint8_t nsid[MAX_NSID_OCTETS] = {0, 3, 0, MAX_NSID_OCTETS - 4, 'i'};
    if (octets < 2)
        return 0;
    struct limits limits = {
        .payload = payloads[data[1] & 7],
        .tcp = data[1] >> 3 & 1,
        .nsid_octets = nsid_octets[data[1] >> 4 & 3],
    };
    if (limits.nsid_octets)
        limits.nsid = nsid;
    ask(sets[data[0] % SETS], &limits, data + 2, octets - 2);
    return 0;
}
