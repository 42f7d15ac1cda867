// Making elements. Texts that came from elsewhere only ever become text nodes; nothing here makes HTML of them.

export const $ = (id) => document.getElementById(id);

/** An element with properties, aria and data attributes, and children; strings become text nodes. */
export function make(tag, properties = {}, ...children) {
  const { aria = {}, data = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  Object.assign(element.dataset, data);
  element.append(...children);
  return element;
}

/** The same for SVG, whose properties are attributes. */
export function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A button that does its work once at a time; what goes wrong is shown in `problem`, an element with role alert. */
export function act(button, problem, work) {
  button.onclick = async () => {
    button.disabled = true;
    hide(problem);
    try {
      await work();
    } catch (error) {
      show(problem, error);
    }
    button.disabled = false;
  };
  return button;
}

export function show(problem, error) {
  problem.textContent = error.message;
  problem.hidden = false;
}

export const hide = (problem) => (problem.hidden = true);

/** A paragraph for what goes wrong. */
export const alertLine = () => make("p", { className: "error", hidden: true, role: "alert" });

/** A form whose work is done once at a time; fields that the service refuses are marked, by their names. */
export function onSubmit(form, problem, work) {
  form.onsubmit = async (submit) => {
    submit.preventDefault();
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    hide(problem);
    for (const input of form.elements) input.removeAttribute("aria-invalid");
    try {
      await work(form);
    } catch (error) {
      show(problem, error);
      const wrong = (error.fields ?? []).map(({ field }) => form.elements[field.split(".").pop()] ?? form.elements[field]);
      for (const input of wrong) input?.setAttribute?.("aria-invalid", "true");
      (wrong.find((input) => input?.focus) ?? [...form.elements].find((input) => input.tagName === "INPUT"))?.focus();
    }
    button.disabled = false;
  };
}

/** Escape leaves a field. By a listener: what a handler property returns may swallow the key. */
export const leftByEscape = (input) => input.addEventListener("keydown", ({ key }) => key === "Escape" && input.blur());
