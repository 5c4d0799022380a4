/** Names of groups in the weights files of Keras 3. */

/** As Keras makes them of the name of a class: `Conv2DTranspose` is `conv2d_transpose`. */
export function kerasGroup(className: string): string {
  return className
    .replace(/\W+/g, "")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
}

/** The group of each layer, by their classes: numbered from the second of a class on. */
export function kerasGroups(classNames: readonly string[]): string[] {
  const used = new Map<string, number>();
  return classNames.map((className) => {
    const group = kerasGroup(className);
    const count = used.get(group) ?? 0;
    used.set(group, count + 1);
    return count === 0 ? group : `${group}_${count}`;
  });
}
