// What is sent to the server: a photo or a clip as the view that a world begins from, and whatever else.

const $ = (id) => document.getElementById(id);

export async function post(path, form, token) {
  // the server's answer; throws with its own words
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { method: "POST", body: form, headers });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error?.message ?? answer.statusText);
  return said;
}

export async function upload(model, token) {
  // the name that `configure` takes as `view`
  const form = new FormData();
  form.append("file", $("view-file").files[0]);
  form.append("fov", $("view-fov").value);
  form.append("yaw", $("view-yaw").value);
  form.append("model", model);
  return (await post("/v1/views", form, token)).id;
}
