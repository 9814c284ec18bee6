// A photo or a clip as the view that a world begins from.

const $ = (id) => document.getElementById(id);

export async function upload(model, token) {
  // the name that `configure` takes as `view`; throws with the server's own words
  const form = new FormData();
  form.append("file", $("view-file").files[0]);
  form.append("fov", $("view-fov").value);
  form.append("yaw", $("view-yaw").value);
  form.append("model", model);
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch("/v1/views", { method: "POST", body: form, headers });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error?.message ?? answer.statusText);
  return said.id;
}
