/* The binding: images, and an engine that holds them. Stable ABI (PEP 384), so that one build serves all versions. */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "udp.h"

enum { FEWEST_ZONES = 16, MAX_WORKERS = 1024, MAX_CHANGES = 1 << 20 };

/* ---- Image ---- */

typedef struct {
    PyObject_HEAD
    Py_buffer buffer;
    struct image image;
    PyObject *rrset; /* the class of RRsets, a tuple */
    PyObject *base;  /* the Image that data and index belong to, if not to this one */
} Image;

static PyObject *image_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"data", "seed", "rrset", NULL};
    PyObject *data, *rrset;
    unsigned long long seed;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OKO!", names, &data, &seed, &PyType_Type, &rrset))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)rrset, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "an RRset is a tuple");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Image *self = (Image *)allocate(type, 0);
    if (!self)
        return NULL;
    self->rrset = Py_NewRef(rrset);
    if (PyObject_GetBuffer(data, &self->buffer, PyBUF_SIMPLE) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    const char *wrong = self->buffer.readonly ? NULL : "an image must not change, and this can be written to";
    struct image *image = &self->image;
    size_t slots = 2;
    Py_BEGIN_ALLOW_THREADS
    if (!wrong)
        wrong = image_load(image, self->buffer.buf, (size_t)self->buffer.len);
    if (!wrong) {
        while (slots < 2 * (size_t)image->nodes)
            slots *= 2;
        image->mask = (uint32_t)(slots - 1);
        image->slots = calloc(slots, sizeof *image->slots);
        if (image->slots)
            image_index(image, seed);
    }
    Py_END_ALLOW_THREADS
    if (wrong)
        PyErr_SetString(PyExc_ValueError, wrong);
    else if (!image->slots)
        PyErr_NoMemory();
    else
        return (PyObject *)self;
    Py_DECREF(self);
    return NULL;
}

static void image_dealloc(Image *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    if (!self->base)
        free(self->image.slots);
    free(self->image.changed);
    PyBuffer_Release(&self->buffer);
    Py_XDECREF(self->base);
    Py_XDECREF(self->rrset);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

/* An RRset, of which `rdatas` is stolen. */
static PyObject *rrset_of(const Image *self, unsigned type, uint32_t ttl, PyObject *rdatas) {
    if (!rdatas)
        return NULL;
    PyObject *fields = Py_BuildValue("(IIN)", type, (unsigned)ttl, rdatas), *arguments = fields ? PyTuple_New(1) : NULL;
    if (!arguments) {
        Py_XDECREF(fields);
        return NULL;
    }
    PyTuple_SetItem(arguments, 0, fields);
    newfunc new_tuple = (newfunc)PyType_GetSlot(&PyTuple_Type, Py_tp_new); /* what a NamedTuple's own one ends in */
    PyObject *rrset = new_tuple((PyTypeObject *)self->rrset, arguments, NULL);
    Py_DECREF(arguments);
    return rrset;
}

/* `count` of them, each behind `skip` octets and a length (of 16 bits, as read by `get`). */
static PyObject *rdatas_at(const uint8_t *at, unsigned count, unsigned skip, uint32_t (*get)(const uint8_t *),
                           const uint8_t **end) {
    PyObject *rdatas = PyTuple_New(count);
    for (unsigned i = 0; rdatas && i < count; i++) {
        unsigned octets = get(at + skip);
        PyObject *rdata = PyBytes_FromStringAndSize((const char *)at + skip + 2, octets);
        if (!rdata)
            Py_CLEAR(rdatas);
        else
            PyTuple_SetItem(rdatas, i, rdata);
        at += skip + 2 + octets;
    }
    *end = at;
    return rdatas;
}

/* What a plan of a plain node holds. */
static PyObject *rrset_of_plan(const Image *self, const uint8_t *entry) {
    const uint8_t *plan = self->image.data + get32(entry + ENTRY_PLAN), *end;
    const uint8_t *stop = plan + PLAN_OFFSETS, *last = stop + STOP_SIZE * (get16(plan + PLAN_STOPS) - 1u);
    const uint8_t *body = last + STOP_SIZE;
    unsigned count = 0;
    for (uint32_t at = 0; at < get32(plan + PLAN_BODY_OCTETS); at += RECORD_FIXED + net16(body + at + 10))
        count++;
    uint32_t ttl = net16(body + 6) << 16 | net16(body + 8);
    return rrset_of(self, get16(entry + ENTRY_TYPE), ttl, rdatas_at(body, count, RECORD_FIXED - 2, net16, &end));
}

/* The RRsets of a node. */
static PyObject *rrsets_of(const Image *self, const uint8_t *node) {
    const uint8_t *at = node + NODE_NAME + node[NODE_NAME_OCTETS];
    int plain = node[NODE_FLAGS] & NODE_PLAIN;
    unsigned count;
    if (plain) {
        at = self->image.data + get32(node + NODE_AT);
        count = get16(at + TABLE_COUNT) - 2; /* without "others" and ANY */
        at += TABLE_ENTRIES + ENTRY_OCTETS;
    } else {
        count = get16(at);
        at += 2;
    }
    PyObject *rrsets = PyTuple_New(count);
    for (unsigned i = 0; rrsets && i < count; i++) {
        PyObject *rrset;
        if (plain) {
            rrset = rrset_of_plan(self, at);
            at += ENTRY_OCTETS;
        } else {
            const uint8_t *head = at;
            PyObject *rdatas = rdatas_at(head + RRSET_OCTETS, get16(head + RRSET_RDATAS), 0, get16, &at);
            rrset = rrset_of(self, get16(head + RRSET_TYPE), get32(head + RRSET_TTL), rdatas);
        }
        if (!rrset)
            Py_CLEAR(rrsets);
        else
            PyTuple_SetItem(rrsets, i, rrset);
    }
    return rrsets;
}

/* The node of a name that exists, or NULL; what is no name in lower case is nowhere. */
static const uint8_t *node_of(const Image *self, PyObject *name) {
    char *octets;
    Py_ssize_t length, position = 0;
    if (!PyBytes_Check(name) || PyBytes_AsStringAndSize(name, &octets, &length) < 0 || length > MAX_NAME_OCTETS)
        return NULL;
    while (position < length && octets[position] > 0 && octets[position] <= MAX_LABEL_OCTETS)
        position += octets[position] + 1;
    if (position + 1 != length || octets[position])
        return NULL;
    uint32_t node = image_find(&self->image, (const uint8_t *)octets, (unsigned)length);
    return node ? self->image.data + node : NULL;
}

static PyObject *image_get(Image *self, PyObject *name) {
    const uint8_t *node = node_of(self, name);
    return node ? rrsets_of(self, node) : Py_NewRef(Py_None);
}

/* What stands behind a name: names, or rows of names and their RRsets. */
static PyObject *behind(Image *self, PyObject *args, int with_rrsets) {
    PyObject *name;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(args, "On", &name, &most))
        return NULL;
    const uint8_t *data = self->image.data, *end = data + self->image.octets;
    const uint8_t *node = data + get32(data + IMAGE_FIRST_NODE);
    if (name != Py_None) {
        node = node_of(self, name);
        if (!node) {
            PyErr_SetString(PyExc_KeyError, "there is no such name");
            return NULL;
        }
        node += get32(node + NODE_EXTENT);
    }
    PyObject *found = PyList_New(0);
    /* Those that stand alone come last. */
    for (; found && most-- > 0 && node < end && !(node[NODE_FLAGS] & NODE_ALONE); node += get32(node + NODE_EXTENT)) {
        PyObject *row = PyBytes_FromStringAndSize((const char *)node + NODE_NAME, node[NODE_NAME_OCTETS]);
        if (row && with_rrsets) {
            PyObject *rrsets = rrsets_of(self, node);
            PyObject *owner = row;
            row = rrsets ? Py_BuildValue("(ON)", owner, rrsets) : NULL;
            Py_DECREF(owner);
        }
        if (!row || PyList_Append(found, row) < 0)
            Py_CLEAR(found);
        Py_XDECREF(row);
    }
    return found;
}

static PyObject *image_after(Image *self, PyObject *args) { return behind(self, args, 1); }

static PyObject *image_names_after(Image *self, PyObject *args) { return behind(self, args, 0); }

/* Its data and index are those of the image that was loaded: of changes upon changes only the last are kept. */
static PyObject *image_with_changes(Image *self, PyObject *names) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    Py_ssize_t count = PyObject_Size(names), noted = 0;
    if (count < 0)
        return NULL;
    if (count > MAX_CHANGES) {
        PyErr_SetString(PyExc_ValueError, "too many names have changed");
        return NULL;
    }
    size_t places = 2;
    while (places < 2 * (size_t)count)
        places *= 2;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Image *changed = (Image *)allocate(type, 0);
    if (!changed)
        return NULL;
    changed->rrset = Py_NewRef(self->rrset);
    changed->base = Py_NewRef(self->base ? self->base : (PyObject *)self);
    changed->image = self->image;
    changed->image.changed_mask = (uint32_t)(places - 1);
    changed->image.changed = calloc(places, sizeof *changed->image.changed);
    PyObject *each, *all = changed->image.changed ? PyObject_GetIter(names) : PyErr_NoMemory();
    while (all && (each = PyIter_Next(all))) {
        char *octets;
        Py_ssize_t length;
        if (!PyBytes_Check(each))
            PyErr_SetString(PyExc_TypeError, "a name is bytes");
        else if (!PyBytes_AsStringAndSize(each, &octets, &length) &&
                 (noted++ == count || !image_change(&changed->image, (const uint8_t *)octets, (size_t)length)))
            PyErr_SetString(PyExc_ValueError, "a changed name is one in the zone, in lower case");
        Py_DECREF(each);
        if (PyErr_Occurred())
            break;
    }
    Py_XDECREF(all);
    if (!PyErr_Occurred())
        return (PyObject *)changed;
    Py_DECREF(changed);
    return NULL;
}

static int image_contains(Image *self, PyObject *name) { return node_of(self, name) != NULL; }

static Py_ssize_t image_length(Image *self) { return (Py_ssize_t)self->image.existing; }

static PyMethodDef image_methods[] = {
    {"get", (PyCFunction)image_get, METH_O, "get(name): the RRsets of a name, or None if it does not exist."},
    {"after", (PyCFunction)image_after, METH_VARARGS,
     "after(name, most): the names behind that one (None: from the first on) with their RRsets."},
    {"names_after", (PyCFunction)image_names_after, METH_VARARGS,
     "names_after(name, most): the same names without their RRsets, in a quarter of the time."},
    {"with_changes", (PyCFunction)image_with_changes, METH_O,
     "with_changes(names): the same image, which is not asked about these names, nor about those below them."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot image_slots[] = {
    {Py_tp_new, image_new},
    {Py_tp_dealloc, image_dealloc},
    {Py_tp_methods, image_methods},
    {Py_sq_contains, image_contains},
    {Py_sq_length, image_length},
    {Py_tp_doc, "Image(data, seed, rrset): the compiled answers of one zone. ValueError says why it cannot be used."},
    {0, NULL},
};
static PyType_Spec image_spec = {"authdns.answer.native._native.Image", sizeof(Image), 0, Py_TPFLAGS_DEFAULT, image_slots};

/* ---- Engine ---- */

/* What workers may still be looking at, until each of them has begun a new batch. */
struct retired {
    struct retired *next;
    PyObject *image; /* or */
    void *memory;
    unsigned workers; /* that had been started */
    uint64_t epochs[]; /* of each of them, when it was replaced */
};

typedef struct {
    PyObject_HEAD
    struct shared shared;
    PyObject *images; /* apex -> Image, so that they live */
    struct retired *retired;
    struct worker *workers[MAX_WORKERS];
    unsigned started;
    struct counts counts; /* of `respond` */
} Engine;

static struct zone_set *zone_set_of(uint64_t seed, uint32_t slots) {
    struct zone_set *zones = calloc(1, sizeof *zones + slots * sizeof zones->slots[0]);
    if (zones) {
        zones->seed = seed;
        zones->mask = slots - 1;
    }
    return zones;
}

static PyObject *engine_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"seed", NULL};
    unsigned long long seed;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "K", names, &seed))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Engine *self = (Engine *)allocate(type, 0);
    if (!self)
        return NULL;
    self->shared.zones = zone_set_of(seed, 2 * FEWEST_ZONES);
    self->images = PyDict_New();
    if (self->shared.zones && self->images)
        return (PyObject *)self;
    Py_DECREF(self);
    return PyErr_NoMemory();
}

static void stop_workers(Engine *self) {
    Py_BEGIN_ALLOW_THREADS
    for (unsigned i = 0; i < self->started; i++)
        worker_stop(self->workers[i]);
    Py_END_ALLOW_THREADS
}

static int is_looked_at(const Engine *self, const struct retired *each) {
    for (unsigned i = 0; i < each->workers; i++) {
        const struct worker *worker = self->workers[i];
        if (each->epochs[i] & 1 && worker->running &&
            __atomic_load_n(&worker->epoch, __ATOMIC_SEQ_CST) == each->epochs[i])
            return 1;
    }
    return 0;
}

static void reclaim(Engine *self) {
    for (struct retired **from = &self->retired; *from;) {
        struct retired *each = *from;
        if (is_looked_at(self, each)) {
            from = &each->next;
            continue;
        }
        *from = each->next;
        Py_XDECREF(each->image);
        free(each->memory);
        free(each);
    }
}

static void engine_dealloc(Engine *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    stop_workers(self);
    reclaim(self);
    for (unsigned i = 0; i < self->started; i++)
        free(self->workers[i]);
    if (self->shared.zones)
        for (uint32_t i = 0; i <= self->shared.zones->mask; i++)
            free(self->shared.zones->slots[i].apex);
    free(self->shared.zones);
    free(self->shared.secrets);
    free(self->shared.limiter);
    Py_XDECREF(self->images);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

/* Takes over what it is given, when nobody can find it any more. */
static int retire(Engine *self, PyObject *image, void *memory) {
    struct retired *each = malloc(sizeof *each + self->started * sizeof each->epochs[0]);
    if (!each) {
        PyErr_NoMemory(); /* better kept for good than freed too soon */
        return -1;
    }
    *each = (struct retired){.next = self->retired, .image = image, .memory = memory, .workers = self->started};
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < self->started; i++)
        each->epochs[i] = __atomic_load_n(&self->workers[i]->epoch, __ATOMIC_SEQ_CST);
    self->retired = each;
    return 0;
}

/* Room for one zone more, in a larger set if need be. */
static int make_room(Engine *self) {
    struct zone_set *old = self->shared.zones;
    if (2 * (uint64_t)(old->taken + 1) <= (uint64_t)old->mask + 1)
        return 0;
    struct zone_set *grown = zone_set_of(old->seed, 2 * (old->mask + 1));
    if (!grown) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t i = 0; i <= old->mask; i++) {
        const struct zone_slot *from = &old->slots[i];
        if (!from->hash)
            continue;
        *zone_slot(grown, from->apex, from->apex_octets) = *from;
        grown->taken++;
    }
    __atomic_store_n(&self->shared.zones, grown, __ATOMIC_RELEASE);
    return retire(self, NULL, old);
}

/* Sets what readers find at an apex; `image` is an Image or None. */
static int set_zone(Engine *self, PyObject *apex, const struct image *found, PyObject *image) {
    char *octets;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(apex, &octets, &length) < 0)
        return -1;
    Py_ssize_t position = 0;
    while (position < length && octets[position] > 0 && octets[position] <= MAX_LABEL_OCTETS)
        position += octets[position] + 1;
    if (length > MAX_NAME_OCTETS || position + 1 != length || octets[position]) {
        PyErr_SetString(PyExc_ValueError, "an apex is a name");
        return -1;
    }
    PyObject *before = PyDict_GetItemWithError(self->images, apex);
    if (!before && PyErr_Occurred())
        return -1;
    Py_XINCREF(before);
    if (PyDict_SetItem(self->images, apex, image) < 0 || make_room(self) < 0) {
        Py_XDECREF(before);
        return -1;
    }
    struct zone_slot *slot = zone_slot(self->shared.zones, (const uint8_t *)octets, (unsigned)length);
    if (slot->hash)
        __atomic_store_n(&slot->image, found, __ATOMIC_RELEASE);
    else {
        slot->apex = malloc((size_t)length);
        if (!slot->apex) {
            Py_XDECREF(before);
            PyErr_NoMemory();
            return -1;
        }
        memcpy(slot->apex, octets, (size_t)length);
        slot->apex_octets = (uint32_t)length;
        slot->image = found;
        self->shared.zones->taken++;
        __atomic_store_n(&slot->hash, hash_name(self->shared.zones->seed, slot->apex) | 1, __ATOMIC_RELEASE);
    }
    if (before == Py_None)
        Py_CLEAR(before);
    return before ? retire(self, before, NULL) : 0;
}

static PyObject *engine_publish(Engine *self, PyObject *args) {
    PyObject *apex, *image;
    if (!PyArg_ParseTuple(args, "SO", &apex, &image))
        return NULL;
    const struct image *found = NO_IMAGE;
    if (image != Py_None) {
        PyTypeObject *type = (PyTypeObject *)PyObject_GetAttrString((PyObject *)Py_TYPE((PyObject *)self), "Image");
        if (!type)
            return NULL;
        int right = PyObject_TypeCheck(image, type);
        Py_DECREF(type);
        if (!right) {
            PyErr_SetString(PyExc_TypeError, "an Image, or None");
            return NULL;
        }
        found = &((Image *)image)->image;
    }
    reclaim(self);
    if (set_zone(self, apex, found, image) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *engine_reclaim(Engine *self, PyObject *unused) {
    (void)unused;
    reclaim(self);
    return PyBool_FromLong(!self->retired);
}

static PyObject *engine_start(Engine *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"socket", "handed", "wildcard", "payload", "nsid", NULL};
    int socket, handed, wildcard, payload;
    const char *nsid = "";
    Py_ssize_t nsid_octets = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iipi|y#", names, &socket, &handed, &wildcard, &payload, &nsid,
                                     &nsid_octets))
        return NULL;
    if (payload < 512 || payload > RECEIVE_OCTETS || nsid_octets > UINT8_MAX || self->started == MAX_WORKERS) {
        PyErr_SetString(PyExc_ValueError, "too many workers, too long an NSID, or a payload that no datagram has");
        return NULL;
    }
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return PyErr_NoMemory();
    worker->socket = socket;
    worker->handed = handed;
    worker->wildcard = wildcard;
    worker->shared = &self->shared;
    memcpy(worker->nsid, nsid, (size_t)nsid_octets);
    worker->limits = (struct limits){(uint16_t)payload, 0, (uint16_t)nsid_octets, worker->nsid};
    int error = worker_start(worker);
    if (error) {
        free(worker);
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    self->workers[self->started++] = worker;
    Py_RETURN_NONE;
}

static PyObject *engine_stop(Engine *self, PyObject *unused) {
    (void)unused;
    stop_workers(self);
    Py_RETURN_NONE;
}

static uint64_t sum_of(const Engine *self, size_t offset) {
    uint64_t sum = *(const uint64_t *)(const void *)((const char *)&self->counts + offset);
    for (unsigned i = 0; i < self->started; i++)
        sum += __atomic_load_n((const uint64_t *)(const void *)((const char *)&self->workers[i]->counts + offset),
                               __ATOMIC_RELAXED);
    return sum;
}

static int append_count(PyObject *list, const char *format, unsigned one, unsigned other, uint64_t number) {
    PyObject *row = Py_BuildValue(format, one, other, (unsigned long long)number);
    int failed = !row || PyList_Append(list, row) < 0;
    Py_XDECREF(row);
    return failed ? -1 : 0;
}

static unsigned long long sum_of_cookies(const Engine *self, enum cookie_state state) {
    return sum_of(self, offsetof(struct counts, cookies) + (unsigned)state * sizeof(uint64_t));
}

static PyObject *limited_counts(const Engine *self) {
    unsigned long long found[LIMITED_LOGGED + 1];
    for (unsigned i = 0; i <= LIMITED_LOGGED; i++)
        found[i] = sum_of(self, offsetof(struct counts, limited) + i * sizeof(uint64_t));
    return Py_BuildValue("(KKK)", found[LIMITED_TRUNCATED], found[LIMITED_DROPPED], found[LIMITED_LOGGED]);
}

static PyObject *engine_limited(Engine *self, PyObject *unused) {
    (void)unused;
    PyObject *source = Py_None;
    Py_INCREF(source);
    for (unsigned i = 0; i < self->started; i++) {
        struct limited_source *limited = &self->workers[i]->limited;
        if (__atomic_load_n(&limited->wanted, __ATOMIC_ACQUIRE))
            continue;
        Py_DECREF(source);
        source = PyBytes_FromStringAndSize((const char *)limited->client.address, limited->client.address_octets);
        __atomic_store_n(&limited->wanted, 1, __ATOMIC_RELEASE);
        if (!source)
            return NULL;
    }
    PyObject *counts = limited_counts(self);
    if (!counts) {
        Py_DECREF(source);
        return NULL;
    }
    return Py_BuildValue("(NN)", counts, source);
}

static PyObject *engine_counts(Engine *self, PyObject *unused) {
    (void)unused;
    PyObject *answered = PyList_New(0), *sizes = PyList_New(0);
    if (!answered || !sizes)
        goto failed;
    for (unsigned rcode = 0; rcode < COUNTED_RCODES; rcode++)
        for (unsigned type = 0; type <= COUNTED_TYPES; type++) {
            uint64_t number = sum_of(self, offsetof(struct counts, answered) +
                                               (rcode * (COUNTED_TYPES + 1) + type) * sizeof(uint64_t));
            unsigned named = type == COUNTED_TYPES ? NO_TYPE : type;
            if (number && append_count(answered, "IIK", rcode, named, number) < 0)
                goto failed;
        }
    for (unsigned size = 0; size < COUNTED_SIZES; size++) {
        PyObject *number = PyLong_FromUnsignedLongLong(sum_of(self, offsetof(struct counts, sizes) + size * 8));
        int failed = !number || PyList_Append(sizes, number) < 0;
        Py_XDECREF(number);
        if (failed)
            goto failed;
    }
    PyObject *cookies = Py_BuildValue("(KKK)", sum_of_cookies(self, COOKIE_VALID), sum_of_cookies(self, COOKIE_NEW),
                                      sum_of_cookies(self, COOKIE_INVALID));
    PyObject *limited = limited_counts(self);
    if (!cookies || !limited) {
        Py_XDECREF(cookies);
        Py_XDECREF(limited);
        goto failed;
    }
    return Py_BuildValue("{s:N,s:N,s:N,s:N,s:K,s:K,s:K,s:K}", "answered", answered, "sizes", sizes, "cookies", cookies,
                         "limited", limited, "dropped",
                         (unsigned long long)sum_of(self, offsetof(struct counts, dropped)), "unsent",
                         (unsigned long long)sum_of(self, offsetof(struct counts, unsent)), "declined",
                         (unsigned long long)sum_of(self, offsetof(struct counts, declined)), "lost",
                         (unsigned long long)sum_of(self, offsetof(struct counts, lost)));
failed:
    Py_XDECREF(answered);
    Py_XDECREF(sizes);
    return NULL;
}

static PyObject *engine_withdraw(Engine *self, PyObject *apex) {
    if (!PyBytes_Check(apex)) {
        PyErr_SetString(PyExc_TypeError, "an apex is bytes");
        return NULL;
    }
    int known = PyDict_Contains(self->images, apex);
    if (known < 0 || (known && set_zone(self, apex, NO_ZONE, Py_None) < 0))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *engine_respond(Engine *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"request", "payload", "tcp", "nsid", "address", "now", NULL};
    const char *request, *nsid = "", *address = "\177\0\0\1";
    Py_ssize_t octets, nsid_octets = 0, address_octets = 4;
    int payload = 1232, tcp = 0;
    unsigned long long now = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y#|ipy#y#K", names, &request, &octets, &payload, &tcp, &nsid,
                                     &nsid_octets, &address, &address_octets, &now))
        return NULL;
    struct client client = {.address_octets = (unsigned)address_octets};
    if (address_octets != 4 && address_octets != 16) {
        PyErr_SetString(PyExc_ValueError, "an address has 4 or 16 octets");
        return NULL;
    }
    memcpy(client.address, address, (size_t)address_octets);
    uint8_t *out = malloc(MAX_RESPONSE_OCTETS);
    if (!out)
        return PyErr_NoMemory();
    struct limits limits = {(uint16_t)payload, (uint16_t)tcp, (uint16_t)nsid_octets, (const uint8_t *)nsid};
    int length = answer_one(&self->shared, &limits, &client, now, &self->counts, (const uint8_t *)request,
                            (size_t)octets, out, MAX_RESPONSE_OCTETS);
    PyObject *found = length < 0 ? PyLong_FromLong(length) : PyBytes_FromStringAndSize((char *)out, length);
    free(out);
    return found;
}

/* What makes and verifies cookies from now on. */
static PyObject *engine_use_secrets(Engine *self, PyObject *given) {
    struct secrets *secrets = NULL;
    if (given != Py_None) {
        Py_ssize_t count = PySequence_Size(given);
        if (count < 0)
            return NULL;
        if (!count || count > MAX_SECRETS) {
            PyErr_SetString(PyExc_ValueError, "too many secrets, or none");
            return NULL;
        }
        secrets = calloc(1, sizeof *secrets);
        if (!secrets)
            return PyErr_NoMemory();
        secrets->count = (unsigned)count;
        for (Py_ssize_t i = 0; i < count; i++) {
            PyObject *each = PySequence_GetItem(given, i);
            char *octets = NULL;
            Py_ssize_t length = 0;
            int read = each ? PyBytes_AsStringAndSize(each, &octets, &length) : -1;
            if (!read && length == SECRET_OCTETS)
                memcpy(secrets->keys[i], octets, SECRET_OCTETS);
            Py_XDECREF(each);
            if (read < 0 || length != SECRET_OCTETS) {
                free(secrets);
                if (!PyErr_Occurred())
                    PyErr_SetString(PyExc_ValueError, "a secret has 16 octets");
                return NULL;
            }
        }
    }
    struct secrets *before = __atomic_exchange_n(&self->shared.secrets, secrets, __ATOMIC_ACQ_REL);
    if (before && retire(self, NULL, before) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* How many there are in the list; -1 with an exception. */
static int read_prefixes(PyObject *list, struct prefix *out, unsigned most_bits) {
    Py_ssize_t count = PyList_Size(list);
    if (count < 0)
        return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        unsigned long long interval;
        unsigned bits;
        if (!PyArg_ParseTuple(PyList_GetItem(list, i), "IK", &bits, &interval))
            return -1;
        if (i == MAX_PREFIXES || bits > most_bits || interval >> MAX_WINDOW_BITS) {
            PyErr_SetString(PyExc_ValueError, "too many prefixes, or too long ones, or too long an interval");
            return -1;
        }
        out[i] = (struct prefix){bits, interval};
    }
    return (int)count;
}

static int read_ranges(PyObject *list, struct range *out, Py_ssize_t octets) {
    Py_ssize_t count = PyList_Size(list);
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *first, *last;
        Py_ssize_t first_octets, last_octets;
        if (!PyArg_ParseTuple(PyList_GetItem(list, i), "y#y#", &first, &first_octets, &last, &last_octets))
            return -1;
        if (first_octets != octets || last_octets != octets) {
            PyErr_SetString(PyExc_ValueError, "a range is two addresses of the same family");
            return -1;
        }
        memcpy(out[i].first, first, (size_t)octets);
        memcpy(out[i].last, last, (size_t)octets);
    }
    return (int)count;
}

static PyObject *engine_use_limiter(Engine *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"seed", "window", "prefixes", "exempt", "slip", "log_only", NULL};
    unsigned long long seed, window;
    PyObject *prefixes[2], *exempt[2];
    unsigned slip;
    int log_only;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "KK(O!O!)(O!O!)Ip", names, &seed, &window, &PyList_Type, &prefixes[0],
                                     &PyList_Type, &prefixes[1], &PyList_Type, &exempt[0], &PyList_Type, &exempt[1],
                                     &slip, &log_only))
        return NULL;
    if (window >> MAX_WINDOW_BITS) {
        PyErr_SetString(PyExc_ValueError, "too long a window");
        return NULL;
    }
    struct limiter *limiter;
    size_t alignment = _Alignof(struct limiter), octets = sizeof *limiter;
    octets += (size_t)(PyList_Size(exempt[0]) + PyList_Size(exempt[1])) * sizeof(struct range);
    octets = (octets + alignment - 1) & ~(alignment - 1);
    limiter = aligned_alloc(alignment, octets);
    if (!limiter)
        return PyErr_NoMemory();
    memset(limiter, 0, octets);
    limiter->seed = seed;
    limiter->window = window;
    limiter->slip = slip;
    limiter->log_only = log_only;
    struct range *ranges = (struct range *)(void *)(limiter + 1);
    for (unsigned i = 0; i < 2; i++) {
        int known = read_prefixes(prefixes[i], limiter->prefixes[i], i ? 128 : 32);
        int exempted = known < 0 ? -1 : read_ranges(exempt[i], ranges, i ? 16 : 4);
        if (exempted < 0) {
            free(limiter);
            return NULL;
        }
        limiter->known[i] = (unsigned)known;
        limiter->exempt[i] = ranges;
        limiter->exempted[i] = (unsigned)exempted;
        ranges += exempted;
    }
    struct limiter *before = __atomic_exchange_n(&self->shared.limiter, limiter, __ATOMIC_ACQ_REL);
    if (before && retire(self, NULL, before) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef engine_methods[] = {
    {"publish", (PyCFunction)engine_publish, METH_VARARGS, "publish(apex, image): None declines the zone's queries."},
    {"withdraw", (PyCFunction)engine_withdraw, METH_O, "withdraw(apex): its names are refused."},
    {"respond", (PyCFunction)(void (*)(void))engine_respond, METH_VARARGS | METH_KEYWORDS,
     "respond(request, payload, tcp, nsid, address, now): the response, or DECLINED, or DROPPED."},
    {"use_secrets", (PyCFunction)engine_use_secrets, METH_O, "use_secrets(secrets): of cookies; None: there are none."},
    {"use_limiter", (PyCFunction)(void (*)(void))engine_use_limiter, METH_VARARGS | METH_KEYWORDS,
     "use_limiter(seed, window, prefixes, exempt, slip, log_only): limits responses."},
    {"limited", (PyCFunction)engine_limited, METH_NOARGS, "limited(): how many queries were, and one of the sources."},
    {"start", (PyCFunction)(void (*)(void))engine_start, METH_VARARGS | METH_KEYWORDS,
     "start(socket, handed, wildcard, payload, nsid): a thread that answers what comes in by a socket."},
    {"stop", (PyCFunction)engine_stop, METH_NOARGS, "stop(): ends all threads."},
    {"counts", (PyCFunction)engine_counts, METH_NOARGS, "counts(): what the threads have done, in sum."},
    {"reclaim", (PyCFunction)engine_reclaim, METH_NOARGS, "reclaim(): frees what was replaced; False if some is left."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot engine_slots[] = {
    {Py_tp_new, engine_new},
    {Py_tp_dealloc, engine_dealloc},
    {Py_tp_methods, engine_methods},
    {Py_tp_doc, "Engine(seed): the zones that are answered without Python."},
    {0, NULL},
};
static PyType_Spec engine_spec = {"authdns.answer.native._native.Engine", sizeof(Engine), 0, Py_TPFLAGS_DEFAULT,
                                  engine_slots};

/* ---- the module ---- */

static int module_exec(PyObject *module) {
    PyObject *image = PyType_FromSpec(&image_spec), *engine = PyType_FromSpec(&engine_spec);
    int failed = !image || !engine || PyObject_SetAttrString(engine, "Image", image) < 0 ||
                 PyModule_AddObjectRef(module, "Image", image) < 0 ||
                 PyModule_AddObjectRef(module, "Engine", engine) < 0 ||
                 PyModule_AddIntConstant(module, "DECLINED", DECLINED) < 0 ||
                 PyModule_AddIntConstant(module, "DROPPED", DROPPED) < 0;
    Py_XDECREF(image);
    Py_XDECREF(engine);
    return failed ? -1 : 0;
}

static PyObject *module_checksum(PyObject *module, PyObject *data) {
    Py_buffer buffer;
    (void)module;
    if (PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0)
        return NULL;
    uint64_t sum;
    Py_BEGIN_ALLOW_THREADS
    sum = checksum(buffer.buf, (size_t)buffer.len);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&buffer);
    return PyLong_FromUnsignedLongLong(sum);
}

static PyMethodDef module_methods[] = {
    {"checksum", module_checksum, METH_O, "checksum(data): 64 bits, against damage."},
    {NULL, NULL, 0, NULL},
};
static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", "The engine of authdns.", 0, module_methods, module_slots,
                                    NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&module); }
