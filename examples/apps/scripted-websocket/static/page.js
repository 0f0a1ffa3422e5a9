// The page's side of the websocket. A lost connection is made anew, under the session's name.
const at = (id) => document.getElementById(id);
const again = 1000; // ms
let session = null;
let socket;

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/ws`);
  socket.onopen = () => socket.send(JSON.stringify({ session }));
  socket.onclose = () => setTimeout(connect, again);
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if ("session" in message) {
      session = message.session;
      at("report").href = `session/${session}/report`;
      return;
    }
    at("total").textContent = message.total ?? "";
    at("upload").textContent = message.upload ?? "";
    at("error").textContent = message.error ?? "";
  };
}

at("n").onchange = () => socket.send(JSON.stringify({ n: at("n").valueAsNumber }));
at("file").onchange = () => fetch(`session/${session}/upload`, { method: "POST", body: at("file").files[0] });
connect();
