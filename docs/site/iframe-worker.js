// A page that was opened as a file may start no worker: the search then runs in a hidden frame. The frame's script uses
// `onmessage` and `postMessage` alone.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.frame = frame
      frame.contentWindow.postMessage = (data) => setTimeout(() => this.onmessage?.({ data }))
      this.ready = new Promise((resolve) => {
        const script = frame.contentDocument.createElement("script")
        script.src = url
        script.onload = resolve
        script.onerror = () => this.onerror?.(new Event("error", { cancelable: true }))
        frame.contentDocument.body.append(script)
      })
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.onmessage({ data }))
    }

    terminate() {
      this.frame.remove()
    }
  }
}
