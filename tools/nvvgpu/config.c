// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and checking the files in /etc/nvvgpu.d; see nvvgpu.d(5).
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

/**
 * struct reader - one file while it is read
 * @config: receives its content
 * @good: no error has been found
 * @denied: only root can read what it refers to
 */
struct reader {
	struct config *config;
	bool good;
	bool denied;
};

[[gnu::format(printf, 2, 3)]]
static void invalid(struct reader *reader, const char *fmt, ...)
{
	char text[TEXT_LEN];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	error("%s: %s", reader->config->path, text);
	reader->good = false;
}

/* Refuse keys that have been misspelt. */
static void check_keys(struct reader *reader, struct json_object *object,
		       const char * const *known)
{
	struct json_object_iterator it = json_object_iter_begin(object);
	struct json_object_iterator end = json_object_iter_end(object);
	const char * const *key;

	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		const char *name = json_object_iter_peek_name(&it);

		for (key = known; *key && strcmp(*key, name); key++)
			;
		if (!*key)
			invalid(reader, "unknown key \"%s\"", name);
	}
}

static void read_text(struct reader *reader, struct json_object *object,
		      const char *key, char *buf, size_t size)
{
	struct json_object *val = json_object_object_get(object, key);

	if (!val)
		return;
	if (json_object_is_type(val, json_type_string) &&
	    (size_t)json_object_get_string_len(val) < size)
		snprintf(buf, size, "%s", json_object_get_string(val));
	else
		invalid(reader, "\"%s\" must be a string of less than %zu bytes", key, size);
}

static int read_number(struct reader *reader, struct json_object *object,
		       const char *key, int otherwise)
{
	struct json_object *val = json_object_object_get(object, key);

	if (!val)
		return otherwise;
	if (json_object_is_type(val, json_type_int) &&
	    json_object_get_int64(val) >= 0 && json_object_get_int64(val) <= INT_MAX)
		return json_object_get_int64(val);
	invalid(reader, "\"%s\" must be a number, 0 or more", key);

	return otherwise;
}

/* Which of two words a key has; the first one if it is not there */
static bool read_choice(struct reader *reader, struct json_object *object,
			const char *key, const char *no, const char *yes)
{
	char text[NAME_LEN] = "";

	read_text(reader, object, key, text, sizeof(text));
	if (text[0] && strcmp(text, no) && strcmp(text, yes))
		invalid(reader, "\"%s\" must be \"%s\" or \"%s\"", key, no, yes);

	return !strcmp(text, yes);
}

/* A type is an id or a name. */
static void read_type(struct reader *reader, struct json_object *object,
		      struct entry *entry)
{
	struct json_object *val = json_object_object_get(object, "type");

	if (json_object_is_type(val, json_type_int))
		snprintf(entry->type, sizeof(entry->type), "%d", json_object_get_int(val));
	else
		read_text(reader, object, "type", entry->type, sizeof(entry->type));
	if (!entry->type[0])
		invalid(reader, "a vGPU has no \"type\"");
}

static void check_twins(struct reader *reader, const struct entry *entry)
{
	const struct config *config = reader->config;
	unsigned int i;

	for (i = 0; i < config->nr; i++) {
		if (config->entries[i].vf == entry->vf)
			invalid(reader, "two vGPUs for VF %u", entry->vf);
		if (entry->name[0] && !strcmp(config->entries[i].name, entry->name))
			invalid(reader, "two vGPUs named %s", entry->name);
	}
	if (config->vfs >= 0 && entry->vf >= (unsigned int)config->vfs)
		invalid(reader, "VF %u is out of range: \"vfs\" is %d", entry->vf, config->vfs);
}

static void read_entry(struct reader *reader, struct json_object *object)
{
	static const char * const keys[] = {
		"vf", "type", "placement", "params", "name", "start", NULL,
	};
	struct config *config = reader->config;
	struct entry entry = { 0 };
	int vf;

	if (!json_object_is_type(object, json_type_object)) {
		invalid(reader, "a vGPU must be an object");
		return;
	}
	check_keys(reader, object, keys);
	vf = read_number(reader, object, "vf", -1);
	if (vf < 0)
		invalid(reader, "a vGPU has no \"vf\"");
	entry.vf = vf;
	read_type(reader, object, &entry);
	entry.placement = read_number(reader, object, "placement", PLACEMENT_ANY);
	read_text(reader, object, "params", entry.params, sizeof(entry.params));
	read_text(reader, object, "name", entry.name, sizeof(entry.name));
	if (entry.name[0] && !name_valid(entry.name))
		invalid(reader, "invalid name \"%s\"", entry.name);
	entry.manual = read_choice(reader, object, "start", "auto", "manual");
	check_twins(reader, &entry);

	config->entries = realloc(config->entries, (config->nr + 1) * sizeof(entry));
	config->entries[config->nr++] = entry;
}

static int find_serial(const char *serial, char *bdf)
{
	char path[PATH_LEN], text[NAME_LEN];
	struct dirent **entries;
	int i, nr, ret = -ENOENT;

	path_make(path, PCI_DEVICES);
	nr = scandir(path, &entries, NULL, alphasort);
	for (i = 0; i < nr; i++) {
		const char *name = entries[i]->d_name;

		if (ret && file_exists(PCI_DEVICES "/%s/sriov_totalvfs", name) &&
		    !pci_serial(name, text, sizeof(text)) && !strcasecmp(text, serial)) {
			snprintf(bdf, BDF_LEN, "%.*s", BDF_LEN - 1, name);
			ret = 0;
		}
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);

	return ret;
}

static bool serial_valid(const char *serial)
{
	return strlen(serial) == 16 && strspn(serial, "0123456789abcdefABCDEF") == 16;
}

/* The GPU may be missing now; that is not an error in the file. */
static void read_gpu(struct reader *reader, struct json_object *object)
{
	struct config *config = reader->config;
	char address[NAME_LEN] = "", slot[NAME_LEN] = "", serial[NAME_LEN] = "";

	read_text(reader, object, "address", address, sizeof(address));
	read_text(reader, object, "slot", slot, sizeof(slot));
	read_text(reader, object, "serial", serial, sizeof(serial));
	if (!!address[0] + !!slot[0] + !!serial[0] != 1) {
		invalid(reader, "name the GPU by one of \"address\", \"slot\" and \"serial\"");
	} else if (address[0]) {
		snprintf(config->wanted, sizeof(config->wanted), "%s", address);
		if (pci_parse(address, config->pf))
			invalid(reader, "\"%s\" is not a PCI address", address);
	} else if (slot[0]) {
		snprintf(config->wanted, sizeof(config->wanted), "slot %.50s", slot);
		pci_slot(slot, config->pf);
	} else if (!serial_valid(serial)) {
		invalid(reader, "\"serial\" must have 16 hexadecimal digits");
	} else {
		snprintf(config->wanted, sizeof(config->wanted), "serial %.50s", serial);
		reader->denied = find_serial(serial, config->pf) && geteuid();
	}
	if (config->pf[0] && !file_exists(PCI_DEVICES "/%s/sriov_totalvfs", config->pf))
		config->pf[0] = '\0';
}

static void read_config(struct reader *reader, struct json_object *object)
{
	static const char * const keys[] = {
		"address", "slot", "serial", "vfs", "bind", "vgpus", NULL,
	};
	struct json_object *vgpus;
	size_t i;

	if (!json_object_is_type(object, json_type_object)) {
		invalid(reader, "must be an object");
		return;
	}
	check_keys(reader, object, keys);
	read_gpu(reader, object);
	reader->config->vfs = read_number(reader, object, "vfs", -1);
	reader->config->bind_all = read_choice(reader, object, "bind", "defined", "all");
	vgpus = json_object_object_get(object, "vgpus");
	if (vgpus && !json_object_is_type(vgpus, json_type_array))
		invalid(reader, "\"vgpus\" must be an array");
	else if (vgpus)
		for (i = 0; i < json_object_array_length(vgpus); i++)
			read_entry(reader, json_object_array_get_idx(vgpus, i));
}

/* The whole text of a file, or NULL with a message */
static char *load_text(const char *path, size_t *len)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	ssize_t ret = -1;
	size_t size = 0;

	/* A valid file has no NUL. */
	if (file)
		ret = getdelim(&text, &size, '\0', file);
	if (ret >= 0)
		*len = ret;
	else
		error("%s: %s", path, file && feof(file) ? "empty file" : strerror(errno));
	if (file)
		fclose(file);
	if (ret >= 0)
		return text;
	free(text);

	return NULL;
}

static unsigned int line_of(const char *text, const char *pos)
{
	unsigned int line = 1;

	for (; text < pos; text++)
		line += *text == '\n';

	return line;
}

/* The value in a text, or NULL with a message */
static struct json_object *parse(const char *path, const char *text, size_t len)
{
	struct json_tokener *tokener = json_tokener_new();
	/* The NUL at the end makes the parser finish. */
	struct json_object *val = json_tokener_parse_ex(tokener, text, len + 1);
	enum json_tokener_error err = json_tokener_get_error(tokener);
	const char *end = text + json_tokener_get_parse_end(tokener);
	const char *why = NULL;

	json_tokener_free(tokener);
	while (end < text + len && isspace((unsigned char)*end))
		end++;
	if (err != json_tokener_success)
		why = json_tokener_error_desc(err);
	else if (end < text + len)
		why = "unexpected text after the first value";
	else if (!val)
		why = "must be an object";
	if (!why)
		return val;
	error("%s: line %u: %s", path, line_of(text, end), why);
	json_object_put(val);

	return NULL;
}

/* The value in a file, or NULL with a message; an absent file is an error, too */
struct json_object *config_load(const char *path)
{
	struct json_object *val;
	size_t len;
	char *text = load_text(path, &len);

	if (!text)
		return NULL;
	val = parse(path, text, len);
	free(text);

	return val;
}

/* A GPU and a name must be defined once only, in whatever file. */
static void check_files(struct reader *reader, const struct config *other)
{
	const struct config *config = reader->config;
	unsigned int i, j;

	if (config->pf[0] && !strcmp(other->pf, config->pf))
		invalid(reader, "%s names the same GPU", other->path);
	for (i = 0; i < config->nr; i++)
		for (j = 0; j < other->nr; j++)
			if (config->entries[i].name[0] &&
			    !strcmp(config->entries[i].name, other->entries[j].name))
				invalid(reader, "%s has a vGPU named %s", other->path,
					config->entries[i].name);
}

/* Check the content of a file, and add it if it is valid. Releases @object. */
static void configs_add(struct configs *configs, const char *path, struct json_object *object)
{
	struct config config = { 0 };
	struct reader reader = { .config = &config, .good = true };
	unsigned int i;

	snprintf(config.path, sizeof(config.path), "%s", path);
	read_config(&reader, object);
	json_object_put(object);
	if (reader.denied) {
		error("%s: must be run as root to read serial numbers", path);
		configs->denied = true;
		free(config.entries);
		return;
	}
	for (i = 0; i < configs->nr && reader.good; i++)
		check_files(&reader, &configs->list[i]);
	if (!reader.good) {
		configs->invalid = true;
		free(config.entries);
		return;
	}
	configs->list = realloc(configs->list, (configs->nr + 1) * sizeof(config));
	configs->list[configs->nr++] = config;
}

static void configs_read_file(struct configs *configs, const char *path)
{
	struct json_object *object;

	if (access(path, R_OK) && errno == EACCES) {
		error("%s: must be run as root to read it", path);
		configs->denied = true;
		return;
	}
	object = config_load(path);
	if (object)
		configs_add(configs, path, object);
	else
		configs->invalid = true;
}

static int is_json(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 &&
	       !strcmp(entry->d_name + len - 5, ".json");
}

/* Read the files in @dir, except the file @skip. */
static void configs_read_dir(struct configs *configs, const char *dir, const char *skip)
{
	struct dirent **entries;
	char path[PATH_LEN * 2];
	int i, nr;

	nr = scandir(dir, &entries, is_json, alphasort);
	if (nr < 0 && errno != ENOENT) {
		error("%s: %s", dir, strerror(errno));
		if (errno == EACCES)
			configs->denied = true;
		else
			configs->invalid = true;
	}
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		if (strcmp(path, skip))
			configs_read_file(configs, path);
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
}

/**
 * configs_read() - read definitions
 * @configs: receives them; those of other GPUs than --gpu are left out
 * @path: a file or a directory, NULL for CONFIG_DIR
 *
 * Return: STATUS_OK, also if some of several files are not valid; or an exit status,
 * and @configs need not be freed
 */
enum status configs_read(struct configs *configs, const char *path)
{
	char standard[PATH_LEN], only[BDF_LEN] = "";
	unsigned int i, nr = 0;
	struct stat st;

	memset(configs, 0, sizeof(*configs));
	path_make(standard, CONFIG_DIR);
	if (opt.gpu && pci_parse(opt.gpu, only)) {
		error("%s: not a PCI address", opt.gpu);
		return STATUS_USAGE;
	}
	if (only[0] && !file_exists(PCI_DEVICES "/%s/sriov_totalvfs", only)) {
		error("%s: no such physical function with SR-IOV", opt.gpu);
		return STATUS_NOT_FOUND;
	}
	if (path && stat(path, &st)) {
		error("%s: %s", path, strerror(errno));
		return STATUS_NOT_FOUND;
	}
	if (!path || S_ISDIR(st.st_mode))
		configs_read_dir(configs, path ?: standard, "");
	else
		configs_read_file(configs, path);
	for (i = 0; i < configs->nr; i++) {
		if (only[0] && strcmp(configs->list[i].pf, only))
			free(configs->list[i].entries);
		else
			configs->list[nr++] = configs->list[i];
	}
	configs->nr = nr;

	if (!configs->denied)
		return STATUS_OK;
	configs_free(configs);

	return STATUS_PERMISSION;
}

/**
 * configs_check() - check all definitions before a file is replaced
 * @path: path of the file, which may be missing
 * @object: its new content
 *
 * Return: whether they are valid with @object; if not, messages say why
 */
bool configs_check(const char *path, struct json_object *object)
{
	struct configs configs = { 0 };
	char dir[PATH_LEN];
	bool valid;

	path_make(dir, CONFIG_DIR);
	configs_read_dir(&configs, dir, path);
	configs_add(&configs, path, json_object_get(object));
	valid = !configs.invalid;
	configs_free(&configs);

	return valid;
}

void configs_free(struct configs *configs)
{
	unsigned int i;

	for (i = 0; i < configs->nr; i++)
		free(configs->list[i].entries);
	free(configs->list);
	memset(configs, 0, sizeof(*configs));
}
