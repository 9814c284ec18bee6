// What the server has to offer; it is asked for with a token, where it wants one.

const $ = (id) => document.getElementById(id);

// [models, token]
export async function listModels(token) {
  for (;;) {
    const answer = await fetch("/v1/models", { headers: token ? { authorization: `Bearer ${token}` } : {} });
    if (answer.ok) return [(await answer.json()).data, token];
    if (answer.status !== 401) throw new Error((await answer.json()).error?.message ?? answer.statusText);
    $("ask").showModal();
    await new Promise((done) => $("ask").addEventListener("close", done, { once: true }));
    token = $("token").value;
    sessionStorage.setItem("token", token);
  }
}
