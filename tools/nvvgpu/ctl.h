/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the files of nvvgpuctl.
 *
 * Functions that return int return 0, a length or a count, or a negative errno,
 * unless they are commands: those return an exit status.
 */
#ifndef NVVGPUCTL_H
#define NVVGPUCTL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include <json-c/json.h>
#include <linux/types.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* The module, and its PCI driver unless that has got another name: front_end() */
#define FRONT_END	"nvvgpu-vfio-pci"
#define CONFIG_DIR	"/etc/nvvgpu.d"
#define RUN_DIR		"/run/nvvgpu"
#define PCI_DEVICES	"/sys/bus/pci/devices"
#define GENERIC_DIR	"/sys/kernel/config/nvvgpu-generic"

/* The domain has up to eight digits. */
#define BDF_LEN		17
#define NAME_LEN	64
#define TEXT_LEN	256
#define PATH_LEN	512
#define FILE_LEN	8192
#define PARAMS_LEN	1024
#define MAX_BARS	6
#define PLACEMENT_ANY	(-1)
#define AVAILABLE_UNKNOWN (-1)

/**
 * enum status - exit status of nvvgpuctl; part of its interface
 * @STATUS_OK: done
 * @STATUS_FAILED: the kernel or the back-end refused, or output was lost
 * @STATUS_USAGE: wrong command line
 * @STATUS_NOT_FOUND: no such GPU, VF, vGPU, type or definition
 * @STATUS_IN_USE: a vGPU is open, or the VF already has one
 * @STATUS_STALE: the vGPU is not the expected one any more
 * @STATUS_DIFFERS: the answer of a command that checks is "no"
 * @STATUS_PERMISSION: must be run as root
 * @STATUS_INVALID: a file is not valid
 */
enum status {
	STATUS_OK,
	STATUS_FAILED,
	STATUS_USAGE,
	STATUS_NOT_FOUND,
	STATUS_IN_USE,
	STATUS_STALE,
	STATUS_DIFFERS,
	STATUS_PERMISSION,
	STATUS_INVALID,
};

/**
 * struct options - the command line
 * @root: put before every path, "" by default
 * @json: print JSON
 * @quiet: print only errors and results
 * @colour: the output is a terminal
 * @force: also end processes that have a vGPU open
 * @dry_run: only show the actions
 * @all: include vGPUs that are defined as manual
 * @manual: define as manual
 * @keep_going: go on after a failure instead of rolling back
 * @textfile: print metrics in the older Prometheus format
 * @http: answer one HTTP request on standard input
 * @gpu: --gpu, or NULL
 * @vf: --vf, or NULL
 * @type: --type, or NULL
 * @name: --name, or NULL
 * @params: --params, or NULL
 * @output: --output, or NULL
 * @placement: --placement, or PLACEMENT_ANY
 * @numa: --numa, or -1
 * @expect: --expect, or 0
 * @vfs: --vfs, or -1
 * @count: --count, or 0 for no limit
 * @timeout: --timeout in seconds, or -1
 * @interval: --interval in seconds
 */
struct options {
	const char *root;
	bool json;
	bool quiet;
	bool colour;
	bool force;
	bool dry_run;
	bool all;
	bool manual;
	bool keep_going;
	bool textfile;
	bool http;
	const char *gpu;
	const char *vf;
	const char *type;
	const char *name;
	const char *params;
	const char *output;
	int placement;
	int numa;
	__u64 expect;
	int vfs;
	int count;
	int timeout;
	double interval;
};

extern struct options opt;

/**
 * struct type - a vGPU type that a GPU offers
 * @id: value for nvidia/current_vgpu_type
 * @name: whole name
 * @vgpu_class: class of the type, for example "workstation"
 * @framebuffer: bytes
 * @bar: sizes of the BARs that differ from the VF's own, else 0
 * @heads: displays
 * @resolution: "<width>x<height>"
 * @max_instances: number that an empty GPU has room for
 * @weight: share of engine time
 * @available: number that can still be created, AVAILABLE_UNKNOWN without root
 * @reason: why @available is 0
 */
struct type {
	unsigned int id;
	char name[NAME_LEN];
	char vgpu_class[24];
	__u64 framebuffer;
	__u64 bar[MAX_BARS];
	unsigned int heads;
	char resolution[24];
	unsigned int max_instances;
	unsigned int weight;
	int available;
	char reason[TEXT_LEN];
};

struct gpu;

/**
 * struct vf - a virtual function and its vGPU
 * @gpu: its GPU
 * @number: number of the VF, from 0
 * @bdf: PCI address
 * @driver: or ""
 * @managed: a back-end manages it, so it has the files of the driver
 * @leaving: it is being unbound from the driver or removed, which waits until it is closed
 * @refused: the driver has refused the last change, and nvvgpu/last_error says why
 * @state: content of nvvgpu/state, "" unless @managed
 * @backend: content of nvvgpu/backend
 * @type: id, 0 without a vGPU
 * @generation: number of the vGPU, 0 without one
 * @placement: or PLACEMENT_ANY
 * @name: given by create or apply, or ""
 * @pid: process that has it open, or 0
 * @command: command name of that process
 * @vm: name of its VM, or ""
 */
struct vf {
	struct gpu *gpu;
	unsigned int number;
	char bdf[BDF_LEN];
	char driver[NAME_LEN];
	bool managed;
	bool leaving;
	bool refused;
	char state[16];
	char backend[NAME_LEN];
	unsigned int type;
	__u64 generation;
	int placement;
	char name[NAME_LEN];
	pid_t pid;
	char command[NAME_LEN];
	char vm[TEXT_LEN];
};

/**
 * struct pci_vfs - where the VFs of a PF are
 * @domain: PCI domain
 * @first: bus, device and function of VF 0
 * @stride: distance from one VF to the next
 */
struct pci_vfs {
	unsigned int domain;
	unsigned int first;
	unsigned int stride;
};

/**
 * struct binding - the driver of a VF, for a roll-back
 * @vf: number of the VF
 * @driver: or ""
 * @override: the only driver that may bind to it, or ""
 */
struct binding {
	unsigned int vf;
	char driver[NAME_LEN];
	char override[NAME_LEN];
};

/**
 * struct gpu - a physical function with vGPUs
 * @bdf: PCI address
 * @driver: or ""
 * @model: name from the list of PCI ids
 * @numa: node, or -1
 * @total: VFs that it can have
 * @nr_vfs: VFs that are enabled
 * @vfs: the VFs, in the order of their numbers
 * @nr_types: entries in @types; 0 if the list cannot be read
 * @types: types that it offers
 */
struct gpu {
	char bdf[BDF_LEN];
	char driver[NAME_LEN];
	char model[TEXT_LEN];
	int numa;
	unsigned int total;
	unsigned int nr_vfs;
	struct vf *vfs;
	unsigned int nr_types;
	struct type *types;
};

/**
 * struct host - all GPUs, in the order of their addresses
 * @gpus: the GPUs
 * @nr: number of entries
 */
struct host {
	struct gpu *gpus;
	unsigned int nr;
};

/* main.c */
bool parse_number(const char *text, long long min, long long max, long long *val);

/* sysfs.c: files, locks and signals */
[[gnu::format(printf, 2, 3)]]
void path_make(char *path, const char *fmt, ...);
[[gnu::format(printf, 3, 4)]]
int file_read(char *buf, size_t size, const char *fmt, ...);
[[gnu::format(printf, 2, 3)]]
int file_write(const char *text, const char *fmt, ...);
[[gnu::format(printf, 3, 4)]]
int file_link(char *buf, size_t size, const char *fmt, ...);
[[gnu::format(printf, 1, 2)]]
bool file_exists(const char *fmt, ...);
[[gnu::format(printf, 1, 2)]]
bool file_usable(const char *fmt, ...);
[[gnu::format(printf, 2, 3)]]
long long file_number(long long otherwise, const char *fmt, ...);
mode_t file_mode(const char *path, mode_t otherwise);
int file_save(const char *path, const char *text, mode_t mode);
void signals_block(sigset_t *signals);
enum status lock_take(void);
const char *front_end(void);

/* png.c */
int png_write(FILE *file, __u32 width, __u32 height, const unsigned char *lines);

/* pci.c */
int pci_parse(const char *text, char *bdf);
void pci_model(const char *bdf, char *buf, size_t size);
int pci_serial(const char *bdf, char *buf, size_t size);
int pci_vfs(const char *pf, struct pci_vfs *vfs);
void pci_vf_address(const struct pci_vfs *vfs, unsigned int number, char *bdf);
int pci_slot(const char *slot, char *bdf);

/* gpu.c */
void host_scan(struct host *host);
void host_free(struct host *host);
struct gpu *host_gpu(struct host *host, const char *bdf);
bool gpu_add(struct host *host, const char *bdf);
void gpu_scan(struct gpu *gpu);
struct vf *gpu_vf(const struct gpu *gpu, unsigned int number);
void vf_scan(struct vf *vf);
bool vf_node(const struct vf *vf, char *path);
int find_gpu(struct host *host, const char *text, struct gpu **gpu);
int find_vf(struct host *host, const char *text, struct vf **vf);
enum status need_gpu(struct host *host, const char *text, struct gpu **gpu);
enum status need_vf(struct host *host, const char *text, struct vf **vf);
const char *backend_advice(const struct gpu *gpu);
__u64 gpu_framebuffer(const struct gpu *gpu);
__u64 gpu_framebuffer_used(const struct gpu *gpu);

/* place.c */
int placement_pick(const struct gpu *gpu, unsigned int id);

/* types.c */
void types_read(struct gpu *gpu);
const struct type *type_by_id(const struct gpu *gpu, unsigned int id);
const struct type *type_find(const struct gpu *gpu, const char *text);
const char *type_missing(const struct gpu *gpu, const char *text);
const char *type_short(const char *name);

/* owner.c, names.c */
void owner_read(struct vf *vf);
const char *owner_text(const struct vf *vf);
void name_read(struct vf *vf);
int name_save(const struct vf *vf, const char *name);
void name_drop(const struct vf *vf);
bool name_valid(const char *name);
enum status name_check(const char *name);

/* vgpu.c: changes of a VF */
int vf_write(const struct vf *vf, const char *file, const char *text);
void vf_error(const struct vf *vf, char *buf, size_t size);
const char *vf_why(const struct vf *vf, int err);
int vf_settle(const struct vf *vf);
int vf_bind(struct vf *vf);
const char *vf_bind_why(int err);
int vf_unbind(struct vf *vf);
int binding_save(struct binding *binding, const struct vf *vf);
int binding_restore(const struct binding *binding, struct vf *vf);
int vf_create(struct vf *vf, unsigned int type, int placement,
	      const char *params, const char *name);
int vf_delete(struct vf *vf);
int vf_release(struct vf *vf);
enum status status_of(int err);

/* out.c */
[[gnu::format(printf, 1, 2)]]
void error(const char *fmt, ...);
[[gnu::format(printf, 1, 2)]]
void note(const char *fmt, ...);
enum status output_check(void);
enum status need_root(void);
void text_clean(char *text);
const char *paint(const char *colour, const char *text);
const char *size_text(__u64 bytes);
void print_json(struct json_object *object);
void json_add(struct json_object *object, const char *key,
	      struct json_object *val);
void json_text(struct json_object *object, const char *key, const char *text);
void json_number(struct json_object *object, const char *key, int64_t val);
void json_flag(struct json_object *object, const char *key, bool val);
struct json_object *json_answer(const char *command);

/**
 * struct table - lines of text in columns
 * @nr_columns: cells of a line
 * @cells: cells of all lines
 * @nr_cells: entries in @cells
 */
struct table {
	unsigned int nr_columns;
	char **cells;
	unsigned int nr_cells;
};

void table_begin(struct table *table, unsigned int nr, const char * const *head);
[[gnu::format(printf, 2, 3)]]
void table_cell(struct table *table, const char *fmt, ...);
void table_end(struct table *table);

/* finding.c: answers of the commands that look for the cause of a problem */
struct json_object *findings_new(void);
[[gnu::format(printf, 5, 6)]]
void finding(struct json_object *findings, bool good, const char *id,
	     const char *advice, const char *fmt, ...);
enum status findings_end(const char *command, struct json_object *findings);

/**
 * struct command - a command of nvvgpuctl
 * @name: word on the command line
 * @run: runs it
 * @options: letters of the options that it takes, besides those of all
 * @min: arguments at least
 * @max: arguments at most
 * @arguments: arguments, as the usage shows them
 * @help: one line
 */
struct command {
	const char *name;
	enum status (*run)(int argc, char **argv);
	const char *options;
	int min;
	int max;
	const char *arguments;
	const char *help;
};

extern const struct command commands[];

enum status cmd_apply(int argc, char **argv);
enum status cmd_complete(int argc, char **argv);
enum status cmd_create(int argc, char **argv);
enum status cmd_define(int argc, char **argv);
enum status cmd_delete(int argc, char **argv);
enum status cmd_diff(int argc, char **argv);
enum status cmd_doctor(int argc, char **argv);
enum status cmd_explain(int argc, char **argv);
enum status cmd_list(int argc, char **argv);
enum status cmd_metrics(int argc, char **argv);
enum status cmd_migrate_check(int argc, char **argv);
enum status cmd_screenshot(int argc, char **argv);
enum status cmd_status(int argc, char **argv);
enum status cmd_top(int argc, char **argv);
enum status cmd_types(int argc, char **argv);
enum status cmd_undefine(int argc, char **argv);
enum status cmd_watch(int argc, char **argv);

/* list.c */
struct json_object *json_vf(const struct vf *vf);

/* main.c, for complete.c */
const char *option_words(const struct command *command);

#endif /* NVVGPUCTL_H */
