// From what was dropped, pasted or chosen to paths and visibilities, by the rules of the command line: a folder's own name is left
// out, `.private.` and `.protected.` in a file name set its visibility and leave the path, dot files are skipped and listed.

const DEPTH_MAX = 64;
export const COUNT_MAX = 100000;

export function named(name) {
  for (const visibility of ["private", "protected"]) {
    const at = name.indexOf(`.${visibility}.`);
    if (at >= 0) return { name: name.slice(0, at) + name.slice(at + visibility.length + 1), visibility };
  }
  return { name, visibility: null };
}

// A file at a place below what was dropped: `inner` are the names of the folders on the way.
export function planned(file, inner, into, visibility) {
  const by = named(file.name);
  const path = `/${[...into.split("/").filter(Boolean), ...inner, by.name].join("/")}`;
  const given = path === "/_skerry.toml" ? "private" : by.visibility || visibility;
  return { file, path, visibility: given, size: file.size };
}

// What the file dialog gave: with a folder, names from its own on.
export function fromInput(list) {
  const files = [];
  const skipped = [];
  for (const file of list) {
    const names = (file.webkitRelativePath || file.name).split("/");
    const inner = names.slice(1, -1);
    if (names.length > 1 && names.slice(1).some((name) => name.startsWith("."))) skipped.push(names.join("/"));
    else files.push({ file, inner });
  }
  return { files, skipped };
}

// What was dropped or pasted. Entries have to be taken in the event itself; they are read afterwards.
export function entriesOf(transfer) {
  const items = [...(transfer.items || [])].filter((item) => item.kind === "file");
  const entries = items.map((item) => (item.webkitGetAsEntry && item.webkitGetAsEntry()) || item.getAsFile()).filter(Boolean);
  return entries.length ? entries : [...transfer.files];
}

export async function fromEntries(entries, report) {
  const files = [];
  const skipped = [];
  const walk = async (entry, inner, depth) => {
    if (files.length >= COUNT_MAX) return;
    if (entry instanceof File) files.push({ file: entry, inner });
    else if (depth > 0 && entry.name.startsWith(".")) skipped.push(entry.fullPath);
    else if (entry.isFile) {
      files.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), inner });
      if (files.length % 500 === 0) report(files.length);
    } else if (depth <= DEPTH_MAX) {
      const reader = entry.createReader();
      const names = depth === 0 ? inner : [...inner, entry.name];
      for (;;) {
        // A reader gives at most a hundred at once.
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) break;
        for (const one of some) await walk(one, names, depth + 1);
      }
    }
  };
  for (const entry of entries) await walk(entry, [], 0);
  return { files, skipped };
}
